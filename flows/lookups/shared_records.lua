-- Goes on from shared_panes.lua, in others().
-- light stretches: the records themselves, 12 bytes each --------------------------------------------------------------
local times, devices, have, loaded = {}, {}, 0, nil -- records of the present entity, and of which stretch

local function read_records(value)
    if not value then return end
    for at = 1, #value, 768 do
        local many = math.min(64, (#value - at + 1) / 12)
        local v = {unpacked(FORMATS[many] or '<' .. string.rep('I6I6', many), value, at)}
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

local function add_record(h, field, value, record)
    h.made = h.made or not value
    put(h, field, value and value .. record or record)
end

local function make_heavy(w, g, field, value, clock)
    local h = hash('l', w, g)
    h.made = h.made or not value
    put(h, field, 'H')
    for at = 1, #(value or ''), 12 do
        local time, device = unpacked('<I6I6', value, at)
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
        add_record(hash('l', w, g), field, value, record)
    end
end

local member_of = {} -- entity and device, of rows of heavy entities

local function answer(field, row, clock, counts, out) -- counts: else it was counted before, and is only read
    local record = sub(records, 12 * row - 11, 12 * row)
    local time, device = unpacked('<I6I6', record)
    local member = member_of[row]
    for w = 3, 1, -1 do
        local g = time / LENGTH[w]
        g = g - g % 1
        local oldest = kept(w, clock)
        counts = counts and g >= oldest
        local h = hash('l', w, g)
        local value, value_before = get(h, field), get(hash('l', w, g - 1), field)
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
            out[w], out[w + 3] = count_panes(w, g, field, time, oldest)
        elseif mixed then
            out[w], out[w + 3] = NAN, NAN
        else
            if loaded ~= h then
                have, loaded = 0, h
                read_records(value_before)
                read_records(value)
            end
            if counts then
                add_record(h, field, value, record)
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

-- of heavy entities, read what rows of the newest stretches need, window by window while an entity is heavy -----------
local heavy, wanted = {}, {}
for k = 1, #ns do
    local n = ns[k]
    local now, old = hash('l', 3, NEWEST[3]).values, hash('l', 3, NEWEST[3] - 1).values
    now[fields[n]], old[fields[n]] = today[n], yesterday[n]
    if today[n] == 'H' or yesterday[n] == 'H' then
        heavy[#heavy + 1], wanted[#wanted + 1] = n, fields[n]
    end
end

for k = 1, #heavy do
    local n, field = heavy[k], wanted[k]
    for row = firsts[n], firsts[n] + sizes[n] - 1 do
        member_of[row] = field .. sub(records, 12 * row - 5, 12 * row)
    end
end

local function members_of(asked)
    local members, m = {}, 0
    for k = 1, #asked do
        local n = asked[k]
        for row = firsts[n], firsts[n] + sizes[n] - 1 do
            m = m + 1
            members[m] = member_of[row]
        end
    end
    return members
end

for w = 3, 1, -1 do
    if #heavy == 0 then break end
    local g = NEWEST[w]
    prefetch(hash('h', w, g), wanted)
    prefetch(hash('h', w, g - 1), wanted)
    local members, unseen = members_of(heavy), {}
    local seen = prefetch(hash('m', w, g), members)
    for k = 1, #members do
        if not seen[members[k]] then unseen[#unseen + 1] = members[k] end
    end
    if #unseen > 0 then prefetch(hash('m', w, g - 1), unseen) end
    if w > 1 then
        local shorter = NEWEST[w - 1]
        local now, old = prefetch(hash('l', w - 1, shorter), wanted), prefetch(hash('l', w - 1, shorter - 1), wanted)
        local still, still_wanted = {}, {}
        for k = 1, #heavy do
            if now[wanted[k]] == 'H' or old[wanted[k]] == 'H' then
                still[#still + 1], still_wanted[#still_wanted + 1] = heavy[k], wanted[k]
            end
        end
        heavy, wanted = still, still_wanted
    end
end

local out = {0, 0, 0, 0, 0, 0}
for k = 1, #ns do
    local n = ns[k]
    local field = fields[n]
    stretches, changed, loaded = {{}, {}, {}}, {}, nil
    for row = firsts[n], firsts[n] + sizes[n] - 1 do
        local offset, _, slot, clock = unpacked('<I8I1I2I6', rows, 17 * row - 16)
        slot = slot + 1
        local new = offset > applied[slot]
        answer(field, row, clock > before and clock or before, new, out)
        local counts = packed('<ffffff', out[1], out[2], out[3], out[4], out[5], out[6])
        if new then told(row, slot, counts) else told_again(row, slot, offset, counts) end
    end
    for c = 1, #changed do put(changed[c].hash, field, packed_stretch(changed[c])) end
end
end -- of others
