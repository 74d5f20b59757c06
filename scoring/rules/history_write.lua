-- Writes one event into histories of one entity: KEYS, one after another.
-- ARGV of each key: id (16 bytes), value ("" where it is the number 1), event time, retention, members, expiry; times in ms.
-- The reply has for each key: 1 counted, 0 its id is there already (the first stands), -1 older than what is kept.
--
-- One sorted set holds, by score: at t the event (id .. value); where it has a value, at -t its id alone, by which a
-- repetition is found; at END + t the member "floor": something at or before t is no longer there, or never was.
local END = 100000000000000
local FIRST, LAST = '(0', '(100000000000000'

local function lost(key, at) redis.call('ZADD', key, 'GT', END + at, 'floor') end

-- Drops the oldest beyond the bound; returns whether ``id`` is one of them.
local function bounded(key, members, id)
  local surplus = redis.call('ZCOUNT', key, FIRST, LAST) - members
  if surplus <= 0 then return false end
  local own = false
  local oldest = redis.call('ZRANGEBYSCORE', key, FIRST, LAST, 'WITHSCORES', 'LIMIT', 0, surplus)
  for at = 1, #oldest, 2 do
    local dropped = string.sub(oldest[at], 1, 16)
    redis.call('ZREM', key, oldest[at], dropped)
    own = own or dropped == id
  end
  lost(key, tonumber(oldest[#oldest]))
  return own
end

local function written(key, id, value, time, retention, members, expiry)
  local latest = redis.call('ZREVRANGEBYSCORE', key, LAST, FIRST, 'WITHSCORES', 'LIMIT', 0, 1)[2]
  local newest = latest and tonumber(latest) or time
  if time <= newest - retention then
    lost(key, newest - retention)
    return -1
  end

  if value == '' then
    if redis.call('ZADD', key, 'NX', time, id) == 0 then return 0 end
  else
    if redis.call('ZADD', key, 'NX', -time, id) == 0 then return 0 end
    redis.call('ZADD', key, time, id .. value)
  end

  local floor = math.max(newest, time) - retention
  if floor > 0 and redis.call('ZREMRANGEBYSCORE', key, -floor, floor) > 0 then lost(key, floor) end
  local dropped = bounded(key, members, id)
  redis.call('PEXPIRE', key, expiry)
  return dropped and -1 or 1
end

local replies = {}
for number, key in ipairs(KEYS) do
  local id, value, time, retention, members, expiry = unpack(ARGV, 6 * number - 5, 6 * number)
  replies[number] = written(key, id, value, tonumber(time), tonumber(retention), tonumber(members), expiry)
end
return replies
