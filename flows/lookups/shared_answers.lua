-- Goes on from shared_records.lua.
-- the usual entity: a light one whose rows are all new and in the newest day; what comes out is what others() says ----
local day_starts = NEWEST[3] * LENGTH[3]
local in_day, one_slot = oldest_row >= day_starts, #names == 1
local ALONE = packed('<ffffff', 1, 1, 1, 1, 1, 1)

local function slot_of(row)
    if one_slot then return 1 end
    local low, high = byte(rows, 17 * row - 7, 17 * row - 6)
    return low + 256 * high + 1
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

local function is_plain(v, had, many)
    for k = 2 * had + 1, 2 * (had + many), 2 do
        if v[k] < day_starts then return false end
    end
    return true
end

local function light(n, value, earlier) -- false where it is not plain
    local row, many = firsts[n], sizes[n]
    local room = 12 * (light_limit - many)
    if #value > room or #earlier + #value > 1200 then return false end
    local now = value .. sub(records, 12 * row - 11, 12 * (row + many - 1))
    if in_day and many == 1 and value == '' and earlier == '' then
        told(row, slot_of(row), ALONE)
    else
        local had = (#earlier + #value) / 12
        local width = had + many
        local format = FORMATS[width]
        if not format then
            format = '<' .. string.rep('I6I6', width)
            FORMATS[width] = format
        end
        local v = {unpacked(format, earlier .. now)}
        if not in_day and not is_plain(v, had, many) then return false end
        for k = had, width - 1 do
            told(row, slot_of(row), packed('<ffffff', count_with(v, k, v[2 * k + 1], v[2 * k + 2])))
            row = row + 1
        end
    end
    plain[n_plain + 1], plain[n_plain + 2], n_plain = fields[n], now, n_plain + 2
    return true
end

local rest = {}
for n = 1, #fields do
    local value, earlier = today[n] or '', yesterday[n] or ''
    if not (all_new and value ~= 'H' and earlier ~= 'H' and light(n, value, earlier)) then rest[#rest + 1] = n end
end
if #rest > 0 then others(rest) end

-- write ------------------------------------------------------------------------------------------------------------
local turned = floor(newest / LENGTH[1]) > floor(before / LENGTH[1]) -- a new stretch of the shortest window
local new_hour = floor(newest / LENGTH[2]) > floor(before / LENGTH[2]) -- what is kept for days need not be told oftener
local function write(key, list, n, expires)
    for at = 1, n, 2000 do redis.call('HSET', key, unpack(list, at, math.min(at + 1999, n))) end
    if expires then redis.call('EXPIRE', key, idle) end
end
for k = 1, #touched do
    local h = touched[k]
    local list, n = {}, 0
    if h.key == today_key then list, n, plain, n_plain = plain, n_plain, list, 0 end
    for field in pairs(h.written) do
        list[n + 1], list[n + 2], n = field, h.values[field], n + 2
    end
    write(h.key, list, n, new_hour or h.made or h.g < NEWEST[h.w] or (turned and h.w < 3))
end
if n_plain > 0 then write(today_key, plain, n_plain, new_hour) end
local set = {}
if newest > before then set[1], set[2] = 'newest', string.format('%.0f', newest) end
local replies = {}
for slot = 1, #names do
    local stream = base .. ':a:' .. names[slot]
    local found = concat(fresh[slot])
    local reply = {found}
    if found ~= '' then
        set[#set + 1], set[#set + 2] = 'o:' .. names[slot], string.format('%.0f', highest[slot])
        redis.call('XADD', stream, 'MINID', trims[slot], string.format('%.0f', highest[slot] + 1), '', found)
        if new_hour or applied[slot] < 0 then redis.call('EXPIRE', stream, idle) end
    end
    if again[slot] then
        reply[1] = found .. concat(again[slot])
        local from, to = string.format('%.0f', first_again[slot] + 1), string.format('%.0f', last_again[slot] + 1)
        for _, entry in ipairs(redis.call('XRANGE', stream, from, to)) do reply[#reply + 1] = entry[2][2] end
        local next_one = redis.call('XRANGE', stream, '(' .. to, '+', 'COUNT', 1)
        if next_one[1] then reply[#reply + 1] = next_one[1][2][2] end
    end
    replies[slot] = reply
end
if #set > 0 then redis.call('HSET', base .. ':meta', unpack(set)) end
if new_hour then redis.call('EXPIRE', base .. ':meta', idle) end
if turned then
    for w = 1, 3 do -- what was there before and no window reaches into any more
        for g = kept(w, before), math.min(kept(w, newest) - 1, floor(before / LENGTH[w])) do
            redis.call('UNLINK', key_of('h', w, g), key_of('m', w, g), key_of('l', w, g))
        end
    end
    for k = 1, #touched do -- and what a time that leaps ahead left behind in this call
        local h = touched[k]
        if h.g < kept(h.w, newest) then redis.call('UNLINK', h.key) end
    end
end
return replies
