-- Reads histories of one entity: KEYS. Run by EVALSHA_RO: the store refuses a write.
-- ARGV: what is asked of each key, as JSON [[windows whose values, windows whose counts, window whose newest or 0], ...]
-- with windows in ms, ascending; the event's time; and for each key the id of the event that asks, "" where it has none.
-- The reply has for each key: times of "floor" and of the id, then an answer to each question. Values come as the members
-- of the shortest window, then those that the next longer one has more, and so on.
local ONE = string.char(0, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0)  -- an event without value has the number 1

-- Records of 25 bytes, whatever is kept: id, kind, and a number or the first 8 bytes of a text's cipher.
local function records(members)
  for at, member in ipairs(members) do
    local length = #member
    if length == 16 then
      members[at] = member .. ONE
    elseif length > 25 then
      members[at] = string.sub(member, 1, 25)
    end
  end
  return table.concat(members)
end

local time = tonumber(ARGV[2])
local function after(window) return '(' .. math.max(time - window, 0) end  -- below 0 are the ids of events with a value

local replies = {}
for number, questions in ipairs(cjson.decode(ARGV[1])) do
  local key = KEYS[number]
  local reply = redis.call('ZMSCORE', key, 'floor', ARGV[2 + number])
  local last = time
  for _, window in ipairs(questions[1]) do
    reply[#reply + 1] = records(redis.call('ZRANGEBYSCORE', key, after(window), last))
    last = time - window
  end
  for _, window in ipairs(questions[2]) do
    reply[#reply + 1] = redis.call('ZCOUNT', key, after(window), time)
  end
  if questions[3] > 0 then  -- the newest two, for one of them may be the event that asks
    reply[#reply + 1] = redis.call('ZREVRANGEBYSCORE', key, time, after(questions[3]), 'WITHSCORES', 'LIMIT', 0, 2)
  end
  replies[number] = reply
end
return replies
