-- KEYS: log, meta, ids, events
-- ARGV: tag, member, max_length, max_age, most_events, prefix of subscriptions
local log, meta, ids, events = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local own, prefix = 'member:' .. ARGV[2], ARGV[6]
local known = redis.call('HMGET', meta, 'tag', own)
if known[1] ~= ARGV[1] then return { 'nolog' } end
if not known[2] then return { 'nomember' } end
local counter, rest = string.match(known[2], '^(%d+)( .*)$')
redis.call('HSET', meta, own, (tonumber(counter) + 1) .. rest)

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
retain(log, meta, ids, events, tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), now)

local members, buried = {}, {}
local all = redis.call('HGETALL', meta)
for at = 1, #all, 2 do
  local kind, name = string.match(all[at], '^(%a+):(%x+)$')
  if kind == 'member' then
    members[#members + 1] = name .. ' ' .. string.match(all[at + 1], '^%d+')
  elseif kind == 'buried' then
    if redis.call('EXISTS', prefix .. name) == 1 then
      buried[#buried + 1] = name
    elseif tonumber(string.match(all[at + 1], '^%d+')) < now - HOUR then
      redis.call('HDEL', meta, all[at])
    end
  end
end
local head = redis.call('HMGET', meta, 'run', 'number', 'floor')
return { 'ok', head[1], head[2], head[3], members, buried }
