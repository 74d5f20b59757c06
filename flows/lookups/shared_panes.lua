-- Goes on from shared_rows.lua.
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
