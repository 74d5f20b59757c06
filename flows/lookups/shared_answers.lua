-- Goes on from shared_records.lua.
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
