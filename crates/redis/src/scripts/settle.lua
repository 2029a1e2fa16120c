-- KEYS: meta
-- ARGV: tag, member, batch
local meta, member, batch = KEYS[1], ARGV[2], tonumber(ARGV[3])
local known = redis.call('HMGET', meta, 'tag', 'member:' .. member, 'buried:' .. member)
if known[1] ~= ARGV[1] then return { 'nolog' } end
local field, value = 'member:' .. member, known[2]
if not value then field, value = 'buried:' .. member, known[3] end
if not value then return { 'nomember' } end
local counter, last, outcomes = string.match(value, '^(%d+) (%d+) ?(.*)$')
if tonumber(last) == batch and outcomes == 'P' then return { 'partly' } end
if tonumber(last) == batch and outcomes ~= 'N' then return { 'ok', outcomes } end
if tonumber(last) > batch then return { 'order' } end
-- Written even if it says so already: the caller waits for the replicas to have this write.
redis.call('HSET', meta, field, counter .. ' ' .. ARGV[3] .. ' N')
return { 'never' }
