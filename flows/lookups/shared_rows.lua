-- Counts events and distinct devices of entities over 5 minutes, 1 hour and 24 hours of event time, once an offset.
--
-- KEYS[1] is the base of one shard, "v:{3of16}". Every key is that base and a suffix, so all are in one slot:
--   :meta        hash: newest event time, applied offset a partition
--   :l<w>:<g>    hash: entity -> its records in stretch g of window w, 12 bytes each (time, device), or "H": heavy
--   :h<w>:<g>    hash: entity -> its panes, where it is heavy
--   :m<w>:<g>    hash: entity and device -> first pane, last pane, log2 of the weight, where it is heavy
--   :a:<name>    stream: the answers that were given for a partition, by offset + 1
-- A stretch of window w is as long as the window and has 50 panes, so a pane is 2% of it.
-- What lies in a stretch is of events in that stretch, whenever they come: order does not matter.
--
-- ARGV: limits; groups; rows; records; oldest and newest time of the call; then for each partition its name, the stream
-- id below which answers may go, and the lowest and highest offset that its batch has.
-- Answers: a list a partition: the answers of this call, then earlier ones of which some are for rows of this call.
--
-- A call has a few rows, so what it sets up costs as much as what it counts: the usual entity (light, all its rows new
-- and of the newest day) needs only what is here and in shared_answers.lua, and others() is made where there are some.

local base, floor, byte, sub, concat = KEYS[1], math.floor, string.byte, string.sub, table.concat
local packed, unpacked = struct.pack, struct.unpack
local LENGTH, PANE, PANES = {300000, 3600000, 86400000}, {6000, 72000, 1728000}, 50
local light_limit, quota, idle, late1, late2, late3 = unpacked('<I4I4I4I6I6I6', ARGV[1])
local LATE = {late1, late2, late3}
local groups, rows, records = ARGV[2], ARGV[3], ARGV[4]
local oldest_row, newest_row = unpacked('<I6I6', ARGV[5])
local NAN = 0 / 0
local FORMATS = {'<I6I6', '<I6I6I6I6', '<I6I6I6I6I6I6', '<I6I6I6I6I6I6I6I6'} -- of so many records, more where needed

local function kept(w, clock) -- the oldest stretch that a window ending at clock - late reaches into
    local g = (clock - LATE[w]) / LENGTH[w]
    return g - g % 1 - 1
end

-- partitions and what was applied of them ---------------------------------------------------------------------------
local names, trims, highest, ask = {}, {}, {}, {'newest'}
local lowest = {}
for at = 6, #ARGV, 3 do
    local slot = #names + 1
    names[slot], trims[slot], ask[slot + 1] = ARGV[at], ARGV[at + 1], 'o:' .. ARGV[at]
    lowest[slot], highest[slot] = unpacked('<I6I6', ARGV[at + 2])
end
local meta = redis.call('HMGET', base .. ':meta', unpack(ask))
local before = tonumber(meta[1]) or -1
local newest = newest_row > before and newest_row or before
local applied, fresh, sizes_of, all_new = {}, {}, {}, true
for slot = 1, #names do
    applied[slot] = tonumber(meta[slot + 1]) or -1
    fresh[slot], sizes_of[slot] = {}, 0
    all_new = all_new and lowest[slot] > applied[slot]
end
local again, first_again, last_again = {}, {}, {} -- of partitions with rows that were counted before

local NEWEST = {} -- the newest stretch of each window
for w = 1, 3 do NEWEST[w] = floor(newest / LENGTH[w]) end

-- the entities of this call -----------------------------------------------------------------------------------------
local fields, sizes, firsts = {}, {}, {}
do
    local first, n = 1, 0
    for at = 1, #groups, 10 do
        local low, high = byte(groups, at + 8, at + 9)
        n = n + 1
        fields[n], sizes[n], firsts[n] = sub(groups, at, at + 7), low + 256 * high, first
        first = first + sizes[n]
    end
end

local function read(key, wanted) -- the values of a hash in the order of the fields
    if #wanted <= 1000 then return redis.call('HMGET', key, unpack(wanted)) end
    local all = {}
    for at = 1, #wanted, 1000 do
        local last = math.min(at + 999, #wanted)
        local found = redis.call('HMGET', key, unpack(wanted, at, last))
        for k = at, last do all[k] = found[k - at + 1] end
    end
    return all
end

local function key_of(kind, w, g) return base .. ':' .. kind .. w .. ':' .. string.format('%d', g) end

-- what the longest window's newest stretches have of each entity
local today_key = key_of('l', 3, NEWEST[3])
local today, yesterday = read(today_key, fields), read(key_of('l', 3, NEWEST[3] - 1), fields)
local plain, n_plain = {}, 0 -- fields and values to be written to the newest
local touched = {} -- hashes that others() has changed

local function told(row, slot, counts) -- a new row of a partition
    local list, n = fresh[slot], sizes_of[slot]
    list[n + 1], list[n + 2], sizes_of[slot] = sub(rows, 17 * row - 16, 17 * row - 8), counts, n + 2
end

local function told_again(row, slot, offset, counts)
    if not again[slot] then again[slot], first_again[slot], last_again[slot] = {}, offset, offset end
    local list = again[slot]
    list[#list + 1] = sub(rows, 17 * row - 16, 17 * row - 8) .. counts
    if offset < first_again[slot] then first_again[slot] = offset end
    if offset > last_again[slot] then last_again[slot] = offset end
end
