-- Goes on from shared_rows.lua.
local function others(ns) -- answers for the entities of these numbers; a function, so that few calls set all this up

-- hashes, read once and written once a call: "l", "h" or "m" of stretch g of window w ---------------------------------
local hashes = {l = {{}, {}, {}}, h = {{}, {}, {}}, m = {{}, {}, {}}}

local function hash(kind, w, g)
    local h = hashes[kind][w][g]
    if not h then
        h = {key = key_of(kind, w, g), w = w, g = g, values = {}, written = false, made = false} -- made: maybe just now
        hashes[kind][w][g] = h
    end
    return h
end

local function prefetch(h, wanted)
    local values, found = h.values, read(h.key, wanted)
    for k = 1, #wanted do values[wanted[k]] = found[k] end
    return values
end

local function get(h, field)
    local value = h.values[field]
    if value == nil then
        value = redis.call('HGET', h.key, field)
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
local HEAD, HEAD_SIZE, NUMBERS = '<i2i4i4i4i4d', 26, '<i4i4i4i4'
local EVENTS, FIRST, LAST, OVERLAP = 1, 2, 3, 4
local stretches -- of the present entity, by window and number
local changed -- those of them to be written

local function stretch(w, g, field, make)
    local s = stretches[w][g]
    if s == nil then
        local found = get(hash('h', w, g), field)
        s = false
        if found then
            local at, events, devices, all_events, all_devices, spread = unpacked(HEAD, found)
            s = {
                packed = found, from = HEAD_SIZE + 1, panes = false, marks = false, hash = false, pane = at,
                events = events, devices = devices, all_events = all_events, all_devices = all_devices, spread = spread,
            }
        end
        stretches[w][g] = s
    end
    if make then
        if not s then
            local old = stretch(w, g - 1, field)
            s = {
                packed = string.rep('\0', 16 * PANES), from = 1, panes = false, marks = false, hash = false, pane = -1,
                events = old and old.all_events or 0, devices = old and old.all_devices or 0,
                all_events = 0, all_devices = 0, spread = 0,
            }
            stretches[w][g], hash('h', w, g).made, hash('m', w, g).made = s, true, true
        end
        if not s.hash then
            s.hash, s.panes, s.marks = hash('h', w, g), {}, {}
            changed[#changed + 1] = s
        end
    end
    return s
end

local function pane(s, i) -- to be changed
    local p = s.panes[i]
    if not p then
        local events, first, last, over = unpacked(NUMBERS, s.packed, s.from + 16 * i)
        p = {events, first, last, over}
        s.panes[i], s.marks[#s.marks + 1] = p, i
    end
    return p
end

local function numbers(s, i) -- of a pane
    local p = s.panes and s.panes[i]
    if p then return p[EVENTS], p[FIRST], p[LAST], p[OVERLAP] end
    return unpacked(NUMBERS, s.packed, s.from + 16 * i)
end

local function bump(w, g, field, i, part, by) -- devices: and keep the sums in front of this stretch and the next right
    local s = stretch(w, g, field, true)
    local p = pane(s, i)
    p[part] = p[part] + by
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
    local parts, n, marks, old, at = {}, 1, s.marks, s.packed, s.from
    parts[1] = packed(HEAD, s.pane, s.events, s.devices, s.all_events, s.all_devices, s.spread)
    if #marks > 1 then table.sort(marks) end
    for k = 1, #marks do
        local first, p = s.from + 16 * marks[k], s.panes[marks[k]]
        if first > at then
            n = n + 1
            parts[n] = sub(old, at, first - 1)
        end
        n = n + 1
        parts[n], at = packed(NUMBERS, p[1], p[2], p[3], p[4]), first + 16
    end
    parts[n + 1] = sub(old, at)
    return concat(parts)
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
    local previous = get(hash('m', w, g - 1), member)
    if previous then
        local _, last, m = byte(previous, 1, 3)
        overlap(w, g, field, i, last, 2 ^ math.max(n, m))
    end
    if following then
        local first, _, m = byte(following, 1, 3)
        overlap(w, g + 1, field, first, i, 2 ^ math.max(n, m))
    end
    put(hash('m', w, g), member, string.char(i, i, n))
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
    p[EVENTS], s.all_events = p[EVENTS] + 1, s.all_events + 1
    if i <= s.pane then s.events = s.events + 1 end
    local seen, following = get(hash('m', w, g), member), nil
    if g < NEWEST[w] then
        local s_next = stretch(w, g + 1, field)
        if s_next and i > s_next.pane then
            s_next = stretch(w, g + 1, field, true)
            s_next.events = s_next.events + 1
        end
        following = get(hash('m', w, g + 1), member)
    end
    if seen then
        seen_again(w, g, i, field, member, seen, following)
    else
        first_seen(w, g, i, field, device, member, following)
    end
end

local function count_panes(w, g, field, time, oldest) -- events and devices of the 50 panes up to that of the time
    if g - 1 < oldest then return NAN, NAN end
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
            local e, first, _, over = numbers(now, k)
            events, devices = events + sign * e, devices + sign * (first - over)
            if old then
                local gone, _, last = numbers(old, k)
                events, devices = events - sign * gone, devices - sign * last
            end
        end
        if i > now.pane and now.hash then now.pane, now.events, now.devices = i, events, devices end
    end
    local spread = now.spread + (old and old.spread or 0)
    if spread > 0.0001 * devices * devices then devices = NAN end -- a standard deviation above 1%
    return events, devices
end
