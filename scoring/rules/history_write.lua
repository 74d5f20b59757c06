-- Writes one event into histories of one entity: KEYS, one after another.
-- ARGV of each key: id (16 bytes), payload ("" where there is none), event time, retention, members, expiry; times in ms.
-- The reply has for each key: 1 counted, 0 its id is there already (the first stands), -1 older than what is kept.
--
-- One sorted set holds, by score: at t the event (id .. payload); where it has a payload, at -t its id alone, by which a
-- repetition is found; at END + t the member "floor": something at or before t is no longer there, or never was.
local END = 100000000000000
local FIRST, LAST = '(0', '(100000000000000'

local function lost(key, at) redis.call('ZADD', key, 'GT', END + at, 'floor') end

-- Drops the oldest beyond the bound; returns whether ``id`` is one of them.
local function bounded(key, members, id)
  if redis.call('ZCARD', key) <= members then return false end
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

-- Whether it was added. An id that is there already keeps its payload, and another one that came with it goes again.
local function added(key, id, payload, time)
  if payload == '' then return redis.call('ZADD', key, 'NX', time, id) == 1 end
  local count = redis.call('ZADD', key, 'NX', -time, id, time, id .. payload)
  if count == 1 then redis.call('ZREM', key, id .. payload) end
  return count == 2
end

local function written(key, id, payload, time, retention, members, expiry)
  local newest = time
  if redis.call('ZCOUNT', key, '(' .. time, LAST) > 0 then  -- seldom, and cheaper to ask than the newest itself
    newest = tonumber(redis.call('ZREVRANGEBYSCORE', key, LAST, FIRST, 'WITHSCORES', 'LIMIT', 0, 1)[2])
  end
  if time <= newest - retention then
    lost(key, newest - retention)
    return -1
  end
  if not added(key, id, payload, time) then return 0 end
  local floor = newest - retention
  if floor > 0 and redis.call('ZREMRANGEBYSCORE', key, -floor, floor) > 0 then lost(key, floor) end
  local dropped = bounded(key, members, id)
  redis.call('PEXPIRE', key, expiry)
  return dropped and -1 or 1
end

local replies = {}
for number, key in ipairs(KEYS) do
  local id, payload, time, retention, members, expiry = unpack(ARGV, 6 * number - 5, 6 * number)
  replies[number] = written(key, id, payload, tonumber(time), tonumber(retention), tonumber(members), expiry)
end
return replies
