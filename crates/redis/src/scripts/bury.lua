-- KEYS: meta
-- ARGV: tag, member, counter (none if the member leaves)
local meta, member = KEYS[1], ARGV[2]
local known = redis.call('HMGET', meta, 'tag', 'member:' .. member)
if known[1] ~= ARGV[1] then return { 'nolog' } end
if not known[2] then return { 'ok', 0 } end
local counter, rest = string.match(known[2], '^(%d+)( .*)$')
if ARGV[3] ~= '' and tonumber(counter) ~= tonumber(ARGV[3]) then return { 'ok', 0 } end
local time = redis.call('TIME')
redis.call('HDEL', meta, 'member:' .. member)
redis.call('HSET', meta, 'buried:' .. member, tonumber(time[1]) * 1000 .. rest)
return { 'ok', 1 }
