-- Goes on from shared_panes.lua.
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
