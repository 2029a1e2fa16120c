-- KEYS: log, meta, ids, events, own subscriptions
-- ARGV: tag, member, batch, run and number that the member has read up to, max_length, max_age, most_events, prefix of subscriptions, count of entries, then of each entry:
--       condition, key, detail and flags, unless it is always stored; count of field names and values, those
local log, meta, ids, events, own = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local tag, member, batch = ARGV[1], ARGV[2], tonumber(ARGV[3])
local read_run, read_number = tonumber(ARGV[4]), tonumber(ARGV[5])
local prefix = ARGV[9]
local LAST = 4294967295

local known = redis.call('HMGET', meta, 'tag', 'run', 'number', 'server', 'member:' .. member, 'ended')
if known[1] ~= tag then return { 'nolog' } end
if not known[5] then return { 'nomember' } end
local counter, last, before_outcomes = string.match(known[5], '^(%d+) (%d+) ?(.*)$')
if tonumber(last) == batch and before_outcomes ~= 'N' and before_outcomes ~= 'P' then return { 'ok', before_outcomes } end
if tonumber(last) + 1 ~= batch then return { 'order' } end

local info = redis.call('INFO', 'server', 'replication')
local server = (string.match(info, 'run_id:(%x+)') or '') .. ' ' .. (string.match(info, 'master_replid:(%x+)') or '')
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local run, number, identity = tonumber(known[2]), tonumber(known[3]), known[4]
-- Where the run before this one ended, if the first entry of this one has yet to say so: it may have failed.
local ended = known[6] or nil
local owners

-- The hash in which a subscription is kept that this member may end: its own, or that of a dead member. One of a
-- member that lives is ended by that member alone.
local function owner_of(topic)
  if redis.call('HEXISTS', own, topic) == 1 then return own end
  if not owners then
    owners = {}
    for _, field in ipairs(redis.call('HKEYS', meta)) do
      local name = string.match(field, '^buried:(%x+)$')
      if name then owners[#owners + 1] = prefix .. name end
    end
  end
  for _, key in ipairs(owners) do
    if redis.call('HEXISTS', key, topic) == 1 then return key end
  end
end

local outcomes, first, length = {}, nil, 0
-- The numbers of this run that are in use as far as the log remembers.
local reserved
-- Numbers are written by `%d`: `..` writes them as fractions may be, which takes three times as long. With fields that
-- are handed on as they are this halves the time of an entry beside XADD's.
local format = string.format
local origin, stored_now = member .. ' ' .. ARGV[3] .. ' ', ' ' .. format('%.0f', now)
local run_text

local function end_of_segment()
  if first then outcomes[#outcomes + 1] = 'S' .. first .. '*' .. length end
  first, length = nil, 0
end

-- Where the earliest kept update with an id is.
local function kept_at(id)
  if id == '' then return nil end
  -- Only an id with a zero character may have others in the way.
  for _, found in ipairs(redis.call('ZRANGEBYLEX', ids, '[' .. id .. '\0', '(' .. id .. '\1', 'LIMIT', 0, 16)) do
    local of, at = string.match(string.sub(found, #id + 2), '^(%d+)-(%d+)$')
    if of then return string.format('%.0f-%.0f', tonumber(of), tonumber(at)) end
  end
end

-- Stores the entry whose field names and values are ARGV[from] to ARGV[to], and in the field `stored` the member, the
-- batch, the place in it, and when; returns its id.
local function store(from, to, index, flags, at_time)
  local is_run = false
  -- An older copy that took the place of a newer one, or came back after it, is behind what nodes have read.
  local behind = run < read_run or (run == read_run and number < read_number)
  if identity ~= server or number >= LAST or behind then
    end_of_segment()
    ended = ended or (identity and run .. '-' .. number) or '0-0'
    is_run = true
    run, number, identity = math.max(run + 1, read_run + 1, tonumber(time[1]) - 1735689600), 0, server
    reserved, run_text = nil, nil
  end
  number = number + 1
  if number > (reserved or 0) then
    -- The first write. A batch that fails half-way must not leave numbers that are used again, and `settle` must not
    -- take it for one that never began.
    reserved = math.min(LAST, number + tonumber(ARGV[10]) - index - 1)
    local begun = counter .. ' ' .. ARGV[3] .. ' P'
    redis.call('HSET', meta, 'run', run, 'number', reserved, 'server', identity, 'member:' .. member, begun)
    if is_run then redis.call('HSET', meta, 'ended', ended) end
  end
  run_text = run_text or format('%d-', run)
  local id = run_text .. format('%d', number)
  local stored = origin .. format('%d', index) .. (at_time or stored_now)
  if ended then
    redis.call('XADD', log, id, 'stored', stored, 'before', ended, unpack(ARGV, from, to))
    redis.call('HDEL', meta, 'ended')
    ended = nil
  else
    redis.call('XADD', log, id, 'stored', stored, unpack(ARGV, from, to))
  end
  if not first then first = id end
  length = length + 1
  if flags ~= '' and string.find(flags, 'h', 1, true) then redis.call('RPUSH', events, id) end
  return id
end

-- Whether the user may take a field of a hash: a command that is refused after its entry is stored would leave an event
-- without its change, and the subscription would end twice. It changes nothing, since no subscription has this name.
local function check(hash)
  redis.call('HDEL', hash, '')
end

local at, index = 11, 0
while ARGV[at] do
  local condition, key, detail, flags = 'always', '', '', ''
  local count = tonumber(ARGV[at])
  if not count then
    condition, key, detail, flags = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    at = at + 4
    count = tonumber(ARGV[at])
  end
  local from, to = at + 1, at + count
  at = to + 1
  local id
  if condition == 'ends' then
    local owner = owner_of(key)
    if owner then
      check(owner)
      id = store(from, to, index, flags)
      redis.call('HDEL', owner, key)
    else
      end_of_segment()
      outcomes[#outcomes + 1] = 'E'
    end
  elseif condition == 'once' then
    local place = redis.call('GET', key)
    if place then
      end_of_segment()
      outcomes[#outcomes + 1] = 'R' .. place
    else
      id = store(from, to, index, flags)
      redis.call('SET', key, id, 'PX', detail)
    end
  elseif condition == 'imported' then
    local place = kept_at(key)
    if place then
      end_of_segment()
      outcomes[#outcomes + 1] = 'R' .. place
    else
      id = store(from, to, index, flags, ' ' .. format('%.0f', math.min(tonumber(detail), now)))
    end
  elseif condition == 'begins' then
    local kept = redis.call('HGET', own, key)
    if kept then
      end_of_segment()
      outcomes[#outcomes + 1] = 'R' .. string.match(kept, '^[^ ]+')
    else
      -- It was this node's before it was taken for dead: it goes on, and is not ended any more.
      local owner = owner_of(key)
      check(owner or own)
      id = store(from, to, index, flags)
      redis.call('HSET', own, key, id .. ' ' .. detail)
      if owner then redis.call('HDEL', owner, key) end
    end
  else
    id = store(from, to, index, flags)
  end
  local chosen = id and flags ~= '' and string.match(flags, '^i(%d+)')
  if chosen then redis.call('ZADD', ids, 0, index_of(ARGV[from + tonumber(chosen)], run, number)) end
  index = index + 1
end
end_of_segment()
outcomes = table.concat(outcomes, ' ')
redis.call('HSET', meta, 'member:' .. member, counter .. ' ' .. ARGV[3] .. ' ' .. outcomes)
if reserved and reserved ~= number then redis.call('HSET', meta, 'number', number) end
retain(log, meta, ids, events, tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), now)
return { 'ok', outcomes }
