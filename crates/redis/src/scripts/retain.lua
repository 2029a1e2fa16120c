-- At most this many entries leave at a time, so that no script keeps others waiting.
local SLICE = 1000
local SLICE_BYTES = 1048576
local HOUR = 3600000

-- The fields of an entry that retention needs.
local function read(entry)
  local fields, found = entry[2], { bytes = 0 }
  for at = 1, #fields, 2 do
    local name, value = fields[at], fields[at + 1]
    found.bytes = found.bytes + #value
    if name == 'stored' then found.time = tonumber(string.match(value, '%d+$'))
    elseif name == 'id' then found.id = value
    elseif name == 'by_hub' then found.by_hub = true
    elseif name == 'before' then found.before = value
    end
  end
  return found
end

local function split(id)
  local run, number = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(run), tonumber(number)
end

local function index_of(id, run, number)
  return id .. '\0' .. string.format('%010.0f-%010.0f', run, number)
end

-- Notes the place before the first entry, and the time of that entry.
local function note_floor(log, meta)
  local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  if not first then
    local head = redis.call('HMGET', meta, 'run', 'number')
    redis.call('HSET', meta, 'floor', head[1] .. '-' .. head[2])
    redis.call('HDEL', meta, 'oldest')
    return
  end
  local run, number = split(first[1])
  local found = read(first)
  local floor = found.before or run .. '-' .. (number - 1)
  redis.call('HSET', meta, 'floor', floor, 'oldest', found.time or 0)
end

-- Whether an entry of this time is due; `ages` has the times before and after which entries are.
local function is_due_at(time, ages)
  return time < ages.before or time > ages.after
end

-- Walks the oldest entries until it has seen `updates` updates, and all entries that are due by `ages`; at most `most`
-- entries. Their ids leave the index. Returns how many entries these are.
local function walk(log, ids, updates, ages, most)
  local walked, seen, bytes, from = 0, 0, 0, '-'
  -- Entries are read whole, so first no more than are surely due.
  local count = ages and 20 or math.min(20, updates)
  while bytes < SLICE_BYTES do
    local chunk = redis.call('XRANGE', log, from, '+', 'COUNT', count)
    for _, entry in ipairs(chunk) do
      local found = read(entry)
      local is_due = seen < updates or (ages and is_due_at(found.time or 0, ages))
      if walked >= most or not is_due then return walked end
      if not found.by_hub then
        seen = seen + 1
        if found.id then redis.call('ZREM', ids, index_of(found.id, split(entry[1]))) end
      end
      walked, bytes, from = walked + 1, bytes + found.bytes, '(' .. entry[1]
    end
    if #chunk < count or (seen >= updates and not ages) then break end
    count = math.min(20, 2 * count)
  end
  return walked
end

-- Takes the events up to `floor` off the list of events.
local function forget_events(events, floor)
  local run, number = split(floor)
  local function is_gone(id)
    local of, at = split(id)
    return of < run or (of == run and at <= number)
  end
  local first = redis.call('LINDEX', events, 0)
  if not first or not is_gone(first) then return end
  local gone = 0
  for _, id in ipairs(redis.call('LRANGE', events, 0, SLICE - 1)) do
    if not is_gone(id) then break end
    gone = gone + 1
  end
  redis.call('LPOP', events, gone)
end

-- The newest `most` events stay. An entry that says where the run before it ended stays too: the first one of its run,
-- or a later one if the first failed.
local function trim_events(log, meta, events, most)
  local over = redis.call('LLEN', events) - most
  if over <= 0 then return end
  local old, stay = {}, {}
  for _, id in ipairs(redis.call('LPOP', events, math.min(over, SLICE))) do
    local entry = redis.call('XRANGE', log, id, id)[1]
    if entry and read(entry).before then table.insert(stay, 1, id) else old[#old + 1] = id end
  end
  if #stay > 0 then redis.call('LPUSH', events, unpack(stay)) end
  if #old == 0 then return end
  local before = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  redis.call('XDEL', log, unpack(old))
  if before and before[1] == old[1] then note_floor(log, meta) end
end

-- Does a slice of what retention asks for.
local function retain(log, meta, ids, events, max_length, max_age, most_events, now)
  local removed = 0
  for pass = 1, 2 do
    local length = redis.call('XLEN', log)
    local excess = max_length > 0 and length - redis.call('LLEN', events) - max_length or 0
    local due = nil
    if max_age > 0 and length > 0 then
      -- The time of a clock that was ahead would keep what is behind it, too.
      local ages = { before = now - max_age, after = now + math.max(max_age, HOUR) }
      if is_due_at(tonumber(redis.call('HGET', meta, 'oldest') or 0), ages) then due = ages end
    end
    if excess <= 0 and not due then break end
    -- Entries need not be read unless they have ids, or there turn out to be events among them.
    local is_blind = pass == 1 and not due and redis.call('ZCARD', ids) == 0
    local count = is_blind and math.min(excess, SLICE) or walk(log, ids, excess, due, SLICE - removed)
    if count > 0 then redis.call('XTRIM', log, 'MAXLEN', '=', length - count) end
    note_floor(log, meta)
    forget_events(events, redis.call('HGET', meta, 'floor'))
    removed = removed + count
    if not is_blind or removed >= SLICE then break end
  end
  trim_events(log, meta, events, most_events)
end
