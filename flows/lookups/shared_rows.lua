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
