-- KEYS: log, meta
-- ARGV: member, format, tag and key of a log that is created, the run after which it begins
local log, meta = KEYS[1], KEYS[2]
local member, format = ARGV[1], tonumber(ARGV[2])
local is_new = 0
if redis.call('EXISTS', meta) == 0 then
  if redis.call('EXISTS', log) == 1 then return { 'foreign', log } end
  redis.call('HSET', meta, 'format', format, 'tag', ARGV[3], 'key', ARGV[4], 'run', ARGV[5], 'number', 0, 'floor', '0-0')
  is_new = 1
end
local known = redis.call('HMGET', meta, 'format', 'tag', 'key', 'run', 'number', 'floor', 'buried:' .. member)
local stored = tonumber(known[1] or '')
if not (stored and known[2] and known[3] and known[4] and known[5] and known[6]) then return { 'foreign', meta } end
if stored > format then return { 'format', known[1] } end
if known[7] then return { 'nomember' } end
redis.call('HSETNX', meta, 'member:' .. member, '0 0 ')
return { 'ok', known[2], known[3], known[4], known[5], known[6], is_new }
