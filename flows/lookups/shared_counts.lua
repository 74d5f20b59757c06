-- Counts events and distinct devices of entities over 5 minutes, 1 hour and 24 hours of event time, once an offset.
--
-- KEYS[1] is the base of one shard, "v:{07}". Every key is that base and a suffix, so all are in one slot:
--   :meta        hash: newest event time, applied offset a partition
--   :l<w>:<g>    hash: entity -> its records in stretch g of window w, 12 bytes each (time, device), or "H": heavy
--   :h<w>:<g>    hash: entity -> its panes, where it is heavy
--   :m<w>:<g>    hash: entity and device -> first pane, last pane, log2 of the weight, where it is heavy
--   :a:<name>    stream: the answers that were given for a partition, by offset + 1
-- A stretch of window w is as long as the window and has 50 panes, so a pane is 2% of it.
-- What lies in a stretch is of events in that stretch, whenever they come: order does not matter.
--
-- ARGV: limits, groups, rows, then for each partition its name and the stream id below which answers may go.
-- Answers: a list a partition: the answers of this call, then earlier ones of which some are for rows of this call.

local base, floor, byte, sub = KEYS[1], math.floor, string.byte, string.sub
local LENGTH, PANE, PANES = {300000, 3600000, 86400000}, {6000, 72000, 1728000}, 50
local light_limit, quota, idle, late1, late2, late3 = struct.unpack('<I4I4I4I6I6I6', ARGV[1])
local LATE = {late1, late2, late3}
local NAN = 0 / 0

local function kept(w, clock) -- the oldest stretch that a window ending at clock - late reaches into
    local g = (clock - LATE[w]) / LENGTH[w]
    return g - g % 1 - 1
end

-- partitions and what was applied of them ---------------------------------------------------------------------------
local names, trims, ask = {}, {}, {'newest'}
for at = 4, #ARGV, 2 do
    names[#names + 1], trims[#trims + 1] = ARGV[at], ARGV[at + 1]
    ask[#ask + 1] = 'o:' .. ARGV[at]
end
local meta = redis.call('HMGET', base .. ':meta', unpack(ask))
local before = tonumber(meta[1]) or -1
local newest = before
local applied, fresh, again, first_again, last_again, highest = {}, {}, {}, {}, {}, {}
for slot = 1, #names do
    applied[slot] = tonumber(meta[slot + 1]) or -1
    fresh[slot], again[slot], highest[slot] = {}, {}, -1
end

-- rows: partition, kind, offset, time, device, clock: the newest time up to the row ---------------------------------
local rows, ROW = ARGV[3], 27
local total = #rows / ROW
local slot_of, kind_of, offset_of, time_of, device_of, clock_of = {}, {}, {}, {}, {}, {}
do
    local format, at, CHUNK = nil, 1, 64
    local width
    while at <= total do
        local many = math.min(CHUNK, total - at + 1)
        if many ~= width then
            width, format = many, '<' .. string.rep('I2I1I6I6I6I6', many)
        end
        local v = {struct.unpack(format, rows, (at - 1) * ROW + 1)}
        local k = 1
        for row = at, at + many - 1 do
            slot_of[row], kind_of[row], offset_of[row] = v[k] + 1, v[k + 1], v[k + 2]
            time_of[row], device_of[row] = v[k + 3], v[k + 4]
            clock_of[row] = v[k + 5] > before and v[k + 5] or before
            k = k + 6
        end
        at = at + many
    end
end
for row = 1, total do
    if clock_of[row] > newest then newest = clock_of[row] end
end

local NEWEST = {} -- the newest stretch of each window
for w = 1, 3 do NEWEST[w] = floor(newest / LENGTH[w]) end

-- hashes, read once and written once a call: "l", "h" or "m" of stretch g of window w ---------------------------------
local hashes = {l = {{}, {}, {}}, h = {{}, {}, {}}, m = {{}, {}, {}}}
local touched = {}

local function hash(kind, w, g)
    local h = hashes[kind][w][g]
    if not h then
        h = {kind = kind, w = w, g = g, values = {}, written = false}
        hashes[kind][w][g] = h
    end
    return h
end

local function key_of(h)
    if not h.key then h.key = base .. ':' .. h.kind .. h.w .. ':' .. string.format('%d', h.g) end
    return h.key
end

local NOW, BEFORE = {l = {}, h = {}, m = {}}, {l = {}, h = {}, m = {}} -- hashes of the newest stretches
for w = 1, 3 do
    for kind in pairs(NOW) do
        NOW[kind][w], BEFORE[kind][w] = hash(kind, w, NEWEST[w]), hash(kind, w, NEWEST[w] - 1)
    end
end

local function read(h, fields) -- the values in the order of the fields
    if #fields <= 1000 then return redis.call('HMGET', key_of(h), unpack(fields)) end
    local all = {}
    for at = 1, #fields, 1000 do
        local last = math.min(at + 999, #fields)
        local found = redis.call('HMGET', key_of(h), unpack(fields, at, last))
        for k = at, last do all[k] = found[k - at + 1] end
    end
    return all
end

local function prefetch(h, fields)
    local values, found = h.values, read(h, fields)
    for k = 1, #fields do values[fields[k]] = found[k] end
end

local function get(h, field)
    local value = h.values[field]
    if value == nil then
        value = redis.call('HGET', key_of(h), field)
        h.values[field] = value
    end
    return value
end

local function put(h, field, value)
    h.values[field] = value
    if not h.written then
        h.written = {}
        touched[#touched + 1] = h
    end
    h.written[field] = true
end

-- panes of a heavy entity's stretch ---------------------------------------------------------------------------------
-- A pane is four numbers: events; devices that the stretch saw first in it; devices that it saw last in it; and the
-- overlap, devices that the stretch before saw after the pane and this one at or before it, as differences. So the
-- window that ends with pane i has the events of panes 0..i and of i+1..49 of the stretch before, and as many devices
-- as are first in 0..i, plus last in i+1..49 of the stretch before, less the overlap up to i.
-- In front of the panes: a pane, the events and devices of the window that ends with it (kept up to date by every
-- change, so that a count is a step from there), all events and devices, and the sum of weight * (weight - 1) of the
-- devices, an upper bound of the variance.
local HEAD, HEAD_SIZE, EMPTY = '<i2i4i4i4i4d', 26, string.rep('\0', 16 * PANES)
local EVENTS, FIRST, LAST, OVERLAP = 1, 2, 3, 4
local stretches = {{}, {}, {}} -- of the present entity, by window and number
local changed -- those of them to be written

local function stretch(w, g, field, make)
    local s = stretches[w][g]
    if s == nil then
        local packed = get(hash('h', w, g), field)
        s = false
        if packed then
            s = {packed = packed, panes = {}}
            s.pane, s.events, s.devices, s.all_events, s.all_devices, s.spread = struct.unpack(HEAD, packed)
        end
        stretches[w][g] = s
    end
    if make then
        if not s then
            local old = stretch(w, g - 1, field)
            s = {packed = EMPTY, fresh = true, panes = {}, pane = -1, all_events = 0, all_devices = 0, spread = 0}
            s.events, s.devices = old and old.all_events or 0, old and old.all_devices or 0
            stretches[w][g] = s
        end
        if not s.hash then
            s.hash = hash('h', w, g)
            changed[#changed + 1] = s
        end
    end
    return s
end

local function pane(s, i)
    local p = s.panes[i]
    if not p then
        p = {struct.unpack('<i4i4i4i4', s.packed, (s.fresh and 0 or HEAD_SIZE) + 16 * i + 1)}
        s.panes[i] = p
    end
    return p
end

local function bump(w, g, field, i, part, by) -- devices: and keep the sums in front of this stretch and the next right
    local s = stretch(w, g, field, true)
    local p = pane(s, i)
    p[part], p.changed = p[part] + by, true
    if part ~= LAST then
        if i <= s.pane then s.devices = s.devices + (part == FIRST and by or -by) end
    elseif g < NEWEST[w] then
        local following = stretch(w, g + 1, field)
        if following and i > following.pane then
            following = stretch(w, g + 1, field, true)
            following.devices = following.devices + by
        end
    end
end

local function packed_stretch(s)
    local parts = {struct.pack(HEAD, s.pane, s.events, s.devices, s.all_events, s.all_devices, s.spread)}
    local from, base_at = 0, s.fresh and 1 or HEAD_SIZE + 1
    for i = 0, PANES - 1 do
        local p = s.panes[i]
        if p and p.changed then
            if i > from then parts[#parts + 1] = sub(s.packed, base_at + 16 * from, base_at + 16 * i - 1) end
            parts[#parts + 1] = struct.pack('<i4i4i4i4', p[1], p[2], p[3], p[4])
            from = i + 1
        end
    end
    if from < PANES then parts[#parts + 1] = sub(s.packed, base_at + 16 * from) end
    return table.concat(parts)
end

local function depth(device) -- how often a device halves: it is in a sample of 1 in 2^n where this is at least n
    local n = 0
    while device % 2 == 0 and n < 30 do device, n = device / 2, n + 1 end
    return n
end

local function level(seen) -- log2 of the weight of the next device
    local n, limit = 0, quota
    while seen >= limit do n, limit = n + 1, limit * 2 end
    return n
end

local function overlap(w, g, field, first, last_before, weight)
    if first < last_before then
        bump(w, g, field, first, OVERLAP, weight)
        bump(w, g, field, last_before, OVERLAP, -weight)
    end
end

local function first_seen(w, g, i, field, device, member, following)
    local s = stretches[w][g]
    local n = level(s.all_devices)
    if n > 0 and depth(device) < n then return end
    local weight = 2 ^ n
    local p = s.panes[i] -- add_panes has just changed it
    p[FIRST] = p[FIRST] + weight
    if i <= s.pane then s.devices = s.devices + weight end
    s.all_devices, s.spread = s.all_devices + weight, s.spread + weight * (weight - 1)
    bump(w, g, field, i, LAST, weight)
    local previous = get(g == NEWEST[w] and BEFORE.m[w] or hash('m', w, g - 1), member)
    if previous then
        local _, last, m = byte(previous, 1, 3)
        overlap(w, g, field, i, last, 2 ^ math.max(n, m))
    end
    if following then
        local first, _, m = byte(following, 1, 3)
        overlap(w, g + 1, field, first, i, 2 ^ math.max(n, m))
    end
    put(g == NEWEST[w] and NOW.m[w] or hash('m', w, g), member, string.char(i, i, n))
end

local function seen_again(w, g, i, field, member, seen, following)
    local first, last, n = byte(seen, 1, 3)
    if i >= first and i <= last then return end
    local weight = 2 ^ n
    if i < first then
        bump(w, g, field, first, FIRST, -weight)
        bump(w, g, field, i, FIRST, weight)
        local previous = get(hash('m', w, g - 1), member)
        if previous then
            local _, old, m = byte(previous, 1, 3)
            overlap(w, g, field, first, old, -2 ^ math.max(n, m))
            overlap(w, g, field, i, old, 2 ^ math.max(n, m))
        end
        first = i
    else
        bump(w, g, field, last, LAST, -weight)
        bump(w, g, field, i, LAST, weight)
        if following then
            local start, _, m = byte(following, 1, 3)
            overlap(w, g + 1, field, start, last, -2 ^ math.max(n, m))
            overlap(w, g + 1, field, start, i, 2 ^ math.max(n, m))
        end
        last = i
    end
    put(hash('m', w, g), member, string.char(first, last, n))
end

local function add_panes(w, g, field, time, device, member)
    local i = (time - g * LENGTH[w]) / PANE[w]
    i = i - i % 1
    local s = stretches[w][g]
    if not (s and s.hash) then s = stretch(w, g, field, true) end
    local p = s.panes[i] or pane(s, i)
    p[EVENTS], p.changed, s.all_events = p[EVENTS] + 1, true, s.all_events + 1
    if i <= s.pane then s.events = s.events + 1 end
    local seen, following
    if g == NEWEST[w] then
        local values = NOW.m[w].values
        seen = values[member]
        if seen == nil then seen = get(NOW.m[w], member) end
    else
        local s_next = stretch(w, g + 1, field)
        if s_next and i > s_next.pane then
            s_next = stretch(w, g + 1, field, true)
            s_next.events = s_next.events + 1
        end
        seen, following = get(hash('m', w, g), member), get(hash('m', w, g + 1), member)
    end
    if seen then
        seen_again(w, g, i, field, member, seen, following)
    else
        first_seen(w, g, i, field, device, member, following)
    end
end

local function count_panes(w, g, field, time, clock) -- events and devices of the 50 panes up to that of the time
    if g - 1 < kept(w, clock) then return NAN, NAN end
    local i = (time - g * LENGTH[w]) / PANE[w]
    i = i - i % 1
    local now, old = stretches[w][g], stretches[w][g - 1]
    if now == nil then now = stretch(w, g, field) end
    if old == nil then old = stretch(w, g - 1, field) end
    if not now then -- a row that is only read, and gone
        return NAN, NAN
    end
    local events, devices = now.events, now.devices
    if i ~= now.pane then
        local low, high, sign = now.pane + 1, i, 1
        if i < now.pane then low, high, sign = i + 1, now.pane, -1 end
        for k = low, high do
            local p = now.panes[k] or pane(now, k)
            events, devices = events + sign * p[EVENTS], devices + sign * (p[FIRST] - p[OVERLAP])
            if old then
                local q = old.panes[k] or pane(old, k)
                events, devices = events - sign * q[EVENTS], devices - sign * q[LAST]
            end
        end
        if i > now.pane and now.hash then now.pane, now.events, now.devices = i, events, devices end
    end
    local spread = now.spread + (old and old.spread or 0)
    if spread > 0.0001 * devices * devices then devices = NAN end -- a standard deviation above 1%
    return events, devices
end

-- light stretches: the records themselves, 12 bytes each --------------------------------------------------------------
local times, devices, have, loaded = {}, {}, 0, nil -- records of the present entity, and of which stretch

local FORMATS = {}
for many = 1, 8 do FORMATS[many] = '<' .. string.rep('I6I6', many) end

local function read_records(value)
    if not value then return end
    for at = 1, #value, 768 do
        local many = math.min(64, (#value - at + 1) / 12)
        local v = {struct.unpack(FORMATS[many] or '<' .. string.rep('I6I6', many), value, at)}
        for k = 1, many do
            times[have + k], devices[have + k] = v[2 * k - 1], v[2 * k]
        end
        have = have + many
    end
end

local function count_records(time, out, w) -- into out: events and devices of the windows up to w
    local e1, e2, e3, d1, d2, d3 = 0, 0, 0, 0, 0, 0
    if have == 1 then
        if times[1] == time then e1, e2, e3, d1, d2, d3 = 1, 1, 1, 1, 1, 1 end
    else
        local youngest, day, hour, minutes = {}, time - 86400000, time - 3600000, time - 300000
        for k = 1, have do
            local at = times[k]
            if at > day and at <= time then
                e3 = e3 + 1
                if at > hour then
                    e2 = e2 + 1
                    if at > minutes then e1 = e1 + 1 end
                end
                local device = devices[k]
                local latest = youngest[device]
                if not latest then
                    d3 = d3 + 1
                    youngest[device] = at
                elseif at > latest then
                    youngest[device] = at
                end
            end
        end
        if e2 == 1 then
            d2, d1 = 1, e1
        else
            for _, at in pairs(youngest) do
                if at > hour then
                    d2 = d2 + 1
                    if at > minutes then d1 = d1 + 1 end
                end
            end
        end
    end
    if e1 == 0 then e1, e2, e3, d1, d2, d3 = NAN, NAN, NAN, NAN, NAN, NAN end -- not even the row itself: it is gone
    out[1], out[4] = e1, d1
    if w > 1 then out[2], out[5] = e2, d2 end
    if w > 2 then out[3], out[6] = e3, d3 end
end

-- a row goes into the stretches of the longest window; where those are heavy, also into those of the next shorter ----
local insert

local function make_heavy(w, g, field, value, clock)
    put(hash('l', w, g), field, 'H')
    for at = 1, #(value or ''), 12 do
        local time, device = struct.unpack('<I6I6', value, at)
        add_panes(w, g, field, time, device, field .. sub(value, at + 6, at + 11))
        insert(w - 1, field, time, device, sub(value, at, at + 11), clock)
    end
end

local function is_heavy(w, g, field, clock) -- and make it so, with its neighbour, where one is or now must be
    local value, value_before = get(hash('l', w, g), field), get(hash('l', w, g - 1), field)
    if value ~= 'H' and value_before ~= 'H' and not (value and #value >= 12 * light_limit) then
        return false, value, value_before
    end
    if value ~= 'H' then make_heavy(w, g, field, value, clock) end
    if value_before and value_before ~= 'H' then make_heavy(w, g - 1, field, value_before, clock) end
    return true
end

function insert(w, field, time, device, record, clock) -- a record of a stretch that became heavy
    if w == 0 then return end
    local g = floor(time / LENGTH[w])
    if g < kept(w, clock) then return end
    local heavy, value = is_heavy(w, g, field, clock)
    if heavy then
        add_panes(w, g, field, time, device, field .. sub(record, 7, 12))
        insert(w - 1, field, time, device, record, clock)
    else
        put(hash('l', w, g), field, (value or '') .. record)
    end
end

local function answer(field, row, out)
    local time, clock, device = time_of[row], clock_of[row], device_of[row]
    local counts = offset_of[row] > applied[slot_of[row]] -- else it was counted before, and is only read
    local record = sub(rows, (row - 1) * ROW + 10, (row - 1) * ROW + 21)
    local member
    for w = 3, 1, -1 do
        local g = time / LENGTH[w]
        g = g - g % 1
        local oldest = kept(w, clock)
        counts = counts and g >= oldest
        local newest_one = g == NEWEST[w]
        local h = newest_one and NOW.l[w] or hash('l', w, g)
        local h_before = newest_one and BEFORE.l[w] or hash('l', w, g - 1)
        local value, value_before = h.values[field], h_before.values[field]
        if value == nil then value = get(h, field) end
        if value_before == nil then value_before = get(h_before, field) end
        local heavy = value == 'H' and (value_before == 'H' or not value_before)
        local mixed = false
        if not heavy and counts then
            heavy, value, value_before = is_heavy(w, g, field, clock)
        elseif not heavy then -- what is only read stays as it is
            mixed = value == 'H' or value_before == 'H'
        end
        if heavy then
            loaded = nil
            if counts then
                member = member or field .. sub(record, 7, 12)
                add_panes(w, g, field, time, device, member)
            end
            out[w], out[w + 3] = count_panes(w, g, field, time, clock)
        elseif mixed then
            out[w], out[w + 3] = NAN, NAN
        else
            if loaded ~= h then
                have, loaded = 0, h
                read_records(value_before)
                read_records(value)
            end
            if counts then
                put(h, field, value and value .. record or record)
                have = have + 1
                times[have], devices[have] = time, device
            end
            if g - 1 < oldest then
                for k = 1, w do out[k], out[k + 3] = NAN, NAN end
            else
                count_records(time, out, w)
            end
            return
        end
    end
end

-- the entities of this call -----------------------------------------------------------------------------------------
local groups = ARGV[2]
local fields, sizes, firsts = {}, {}, {}
do
    local first = 1
    for at = 1, #groups, 10 do
        local n = #fields + 1
        fields[n], sizes[n], firsts[n] = sub(groups, at, at + 7), struct.unpack('<I2', groups, at + 8), first
        first = first + sizes[n]
    end
end
local today, yesterday = {}, {} -- what the longest window's newest stretches have of each entity
if #fields > 0 then today, yesterday = read(NOW.l[3], fields), read(BEFORE.l[3], fields) end
do -- of heavy ones, read what rows of the newest stretches need, window by window while an entity is heavy
    local function members_of(asked)
        local members = {}
        for k = 1, #asked do
            local n = asked[k]
            for row = firsts[n], firsts[n] + sizes[n] - 1 do
                members[#members + 1] = fields[n] .. sub(rows, (row - 1) * ROW + 16, (row - 1) * ROW + 21)
            end
        end
        return members
    end
    local heavy, names = {}, {}
    for n = 1, #fields do
        if today[n] == 'H' or yesterday[n] == 'H' then
            heavy[#heavy + 1], names[#names + 1] = n, fields[n]
        end
    end
    for w = 3, 1, -1 do
        if #heavy == 0 then break end
        local members = members_of(heavy)
        for kind, wanted in pairs({h = names, m = members}) do
            prefetch(NOW[kind][w], wanted)
            prefetch(BEFORE[kind][w], wanted)
        end
        if w > 1 then
            local now, old = NOW.l[w - 1], BEFORE.l[w - 1]
            prefetch(now, names)
            prefetch(old, names)
            local still, still_names = {}, {}
            for k = 1, #heavy do
                local field = names[k]
                if now.values[field] == 'H' or old.values[field] == 'H' then
                    still[#still + 1], still_names[#still_names + 1] = heavy[k], field
                end
            end
            heavy, names = still, still_names
        end
    end
end

local function told(row, found)
    local slot, offset = slot_of[row], offset_of[row]
    if offset > applied[slot] then
        local list = fresh[slot]
        list[#list + 1] = found
        if offset > highest[slot] then highest[slot] = offset end
    else
        again[slot][#again[slot] + 1] = found
        if not first_again[slot] or offset < first_again[slot] then first_again[slot] = offset end
        if not last_again[slot] or offset > last_again[slot] then last_again[slot] = offset end
    end
end

-- The usual entity by a shorter way: a light one whose rows of this call are all new and in the newest stretch.
-- What comes out is what answer() would say.
local day_starts = NEWEST[3] * LENGTH[3]
local plain, n_plain = {}, 0 -- fields and values to be written

local function is_plain(row, many, value, before)
    local room = 12 * light_limit - 12 * many
    if value == 'H' or before == 'H' or #value > room or #before + #value > 1200 then return false end
    for k = row, row + many - 1 do
        if time_of[k] < day_starts or offset_of[k] <= applied[slot_of[k]] then return false end
    end
    return true
end

local function records_in(value)
    if value == '' then return {} end
    local many = #value / 12
    local format = FORMATS[many]
    if not format then
        format = '<' .. string.rep('I6I6', many)
        FORMATS[many] = format
    end
    return {struct.unpack(format, value)}
end

local function count_with(v, many, time, device) -- of the first records in v, and of the row itself
    local e1, e2, e3, d1, d2, d3 = 1, 1, 1, 1, 1, 1
    local day, hour, minutes, others = time - 86400000, time - 3600000, time - 300000, nil
    for k = 1, 2 * many, 2 do
        local at = v[k]
        if at > day and at <= time then
            e3 = e3 + 1
            if at > hour then
                e2 = e2 + 1
                if at > minutes then e1 = e1 + 1 end
            end
            local other = v[k + 1]
            if other ~= device then
                others = others or {}
                local latest = others[other]
                if not latest then
                    d3 = d3 + 1
                    others[other] = at
                elseif at > latest then
                    others[other] = at
                end
            end
        end
    end
    if others and e2 > 1 then
        for _, at in pairs(others) do
            if at > hour then
                d2 = d2 + 1
                if at > minutes then d1 = d1 + 1 end
            end
        end
    end
    return e1, e2, e3, d1, d2, d3
end

local out = {0, 0, 0, 0, 0, 0}
for n = 1, #fields do
    local field, row, many = fields[n], firsts[n], sizes[n]
    local value, before = today[n] or '', yesterday[n] or ''
    if is_plain(row, many, value, before) then
        local v, had = records_in(before .. value), (#before + #value) / 12
        for k = row, row + many - 1 do
            local time, device = time_of[k], device_of[k]
            value = value .. sub(rows, (k - 1) * ROW + 10, (k - 1) * ROW + 21)
            told(k, struct.pack('<I8I1ffffff', offset_of[k], kind_of[k], count_with(v, had, time, device)))
            v[2 * had + 1], v[2 * had + 2], had = time, device, had + 1
        end
        plain[n_plain + 1], plain[n_plain + 2], n_plain = field, value, n_plain + 2
    else
        NOW.l[3].values[field], BEFORE.l[3].values[field] = today[n], yesterday[n]
        stretches, changed, loaded = {{}, {}, {}}, {}, nil
        for k = row, row + many - 1 do
            answer(field, k, out)
            told(k, struct.pack(
                '<I8I1ffffff', offset_of[k], kind_of[k], out[1], out[2], out[3], out[4], out[5], out[6]))
        end
        for k = 1, #changed do put(changed[k].hash, field, packed_stretch(changed[k])) end
    end
end

-- write ------------------------------------------------------------------------------------------------------------
local turned = floor(newest / LENGTH[1]) > floor(before / LENGTH[1]) -- a new stretch of the shortest window
if n_plain > 0 and not NOW.l[3].written then
    NOW.l[3].written = {}
    touched[#touched + 1] = NOW.l[3]
end
for _, h in ipairs(touched) do
    local list, values, k = {}, h.values, 0
    if h == NOW.l[3] then list, k = plain, n_plain end
    for field in pairs(h.written) do
        list[k + 1], list[k + 2], k = field, values[field], k + 2
    end
    for at = 1, k, 2000 do redis.call('HSET', key_of(h), unpack(list, at, math.min(at + 1999, k))) end
    if turned or h.g < NEWEST[h.w] then redis.call('EXPIRE', key_of(h), idle) end
end
local set = {}
if newest > before then set[1], set[2] = 'newest', string.format('%.0f', newest) end
local replies = {}
for slot = 1, #names do
    local stream = base .. ':a:' .. names[slot]
    local found = table.concat(fresh[slot])
    local reply = {found .. table.concat(again[slot])}
    if highest[slot] >= 0 then
        set[#set + 1], set[#set + 2] = 'o:' .. names[slot], string.format('%.0f', highest[slot])
        redis.call('XADD', stream, 'MINID', trims[slot], string.format('%.0f', highest[slot] + 1), '', found)
        if turned then redis.call('EXPIRE', stream, idle) end
    end
    if first_again[slot] then
        local from, to = string.format('%.0f', first_again[slot] + 1), string.format('%.0f', last_again[slot] + 1)
        for _, entry in ipairs(redis.call('XRANGE', stream, from, to)) do reply[#reply + 1] = entry[2][2] end
        local next_one = redis.call('XRANGE', stream, '(' .. to, '+', 'COUNT', 1)
        if next_one[1] then reply[#reply + 1] = next_one[1][2][2] end
    end
    replies[slot] = reply
end
if #set > 0 then redis.call('HSET', base .. ':meta', unpack(set)) end
if turned then
    redis.call('EXPIRE', base .. ':meta', idle)
    for w = 1, 3 do -- what was there before and no window reaches into any more
        for g = kept(w, before), math.min(kept(w, newest) - 1, floor(before / LENGTH[w])) do
            redis.call('UNLINK', key_of(hash('h', w, g)), key_of(hash('m', w, g)), key_of(hash('l', w, g)))
        end
    end
    for _, h in ipairs(touched) do -- and what a time that leaps ahead left behind in this call
        if h.g < kept(h.w, newest) then redis.call('UNLINK', key_of(h)) end
    end
end
return replies
