-- Reads histories of one entity: KEYS, each with its questions in ARGV. Run by EVALSHA_RO: the store refuses a write.
-- ARGV of a key: the id of the event that asks ("" where it has none), the number of questions, and of each question
-- 'count' | 'values' | 'newest', lower and upper bound. Its reply: {times of "floor" and id}, then an answer to each.
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

local replies, at = {}, 1
for number, key in ipairs(KEYS) do
  local reply = {redis.call('ZMSCORE', key, 'floor', ARGV[at])}
  for _ = 1, tonumber(ARGV[at + 1]) do
    local kind, low, high = ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
    if kind == 'count' then
      reply[#reply + 1] = redis.call('ZCOUNT', key, low, high)
    elseif kind == 'values' then
      reply[#reply + 1] = records(redis.call('ZRANGEBYSCORE', key, low, high))
    else  -- the newest two, for one of them may be the event that asks
      reply[#reply + 1] = redis.call('ZREVRANGEBYSCORE', key, high, low, 'WITHSCORES', 'LIMIT', 0, 2)
    end
    at = at + 3
  end
  at = at + 2
  replies[number] = reply
end
return replies
