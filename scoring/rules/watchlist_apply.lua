-- Applies changes to one list. KEYS: epoch, sequence, stream, names, then the 64 buckets; all in one slot.
-- ARGV: the list's 8-byte code, its name as JSON, records of 32 bytes (digest 16, until 8, version 8, big-endian), the
-- stream's length, '1' where a missing epoch is no reason to refuse, and a random number.
-- A record counts where its version is greater than the one that is kept, so changes may come twice and in any order.
if ARGV[5] ~= '1' and redis.call('EXISTS', KEYS[1]) == 0 then
    return redis.error_reply('LISTSLOST the lists are not here')
end
local code, records, won = ARGV[1], ARGV[3], {}
redis.call('HSET', KEYS[4], code, ARGV[2])
for at = 1, #records, 32 do
    local digest = string.sub(records, at, at + 15)
    local bucket = KEYS[5 + string.byte(digest) % 64]
    local kept = redis.call('HGET', bucket, code .. digest)
    local version = struct.unpack('>I8', records, at + 24)
    if not kept or struct.unpack('>I8', kept, 9) < version then
        redis.call('HSET', bucket, code .. digest, string.sub(records, at + 16, at + 31))
        won[#won + 1] = string.sub(records, at, at + 23)
    end
end
if #won > 0 then
    local last = redis.call('GET', KEYS[2]) or '0-0'
    local id = string.format('%d-%s', tonumber(string.match(last, '^%d+')) + 1, ARGV[6])
    redis.call('SET', KEYS[2], id)
    redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[4], id, 'p', last, 'l', ARGV[2], 'c', table.concat(won))
end
return #won
