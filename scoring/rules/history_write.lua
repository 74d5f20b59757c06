-- Writes one event into the history of a catalogue and an entity: KEYS[1].
-- ARGV: id (16 bytes), value ("" where it is the number 1), event time, retention, members, expiry; times in ms.
-- Returns 1 counted, 0 its id is there already (the first stands), -1 older than what is kept.
--
-- One sorted set holds, by score: at t the event (id .. value); where it has a value, at -t its id alone, by which a
-- repetition is found; at END + t the member "floor": something at or before t is no longer there, or never was.
local key, id, value, time = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local retention, members = tonumber(ARGV[4]), tonumber(ARGV[5])
local END = 100000000000000
local FIRST, LAST = '(0', '(100000000000000'

local function lost(at) redis.call('ZADD', key, 'GT', END + at, 'floor') end

local latest = redis.call('ZREVRANGEBYSCORE', key, LAST, FIRST, 'WITHSCORES', 'LIMIT', 0, 1)[2]
local newest = latest and tonumber(latest) or time
if time <= newest - retention then
  lost(newest - retention)
  return -1
end

if value == '' then
  if redis.call('ZADD', key, 'NX', time, id) == 0 then return 0 end
else
  if redis.call('ZADD', key, 'NX', -time, id) == 0 then return 0 end
  redis.call('ZADD', key, time, id .. value)
end

local floor = math.max(newest, time) - retention
if floor > 0 and redis.call('ZREMRANGEBYSCORE', key, -floor, floor) > 0 then lost(floor) end

local status = 1
local surplus = redis.call('ZCOUNT', key, FIRST, LAST) - members
if surplus > 0 then
  local oldest = redis.call('ZRANGEBYSCORE', key, FIRST, LAST, 'WITHSCORES', 'LIMIT', 0, surplus)
  for at = 1, #oldest, 2 do
    local dropped = string.sub(oldest[at], 1, 16)
    redis.call('ZREM', key, oldest[at], dropped)
    if dropped == id then status = -1 end
  end
  lost(tonumber(oldest[#oldest]))
end
redis.call('PEXPIRE', key, ARGV[6])
return status
