-- KEYS: a key that is used for nothing else. Uses each command of the other scripts, harmlessly. Returns the first that
-- is refused, and what the server says.
local key = KEYS[1]
for _, command in ipairs({
  { 'DEL', key },
  { 'INFO', 'server', 'replication' },
  { 'TIME' },
  { 'XADD', key, '1-1', 'a', 'b' },
  { 'XLEN', key },
  { 'XRANGE', key, '-', '+', 'COUNT', 1 },
  { 'XTRIM', key, 'MAXLEN', '=', 1 },
  { 'XDEL', key, '1-2' },
  { 'DEL', key },
  { 'HSET', key, 'a', 'b' },
  { 'HSETNX', key, 'a', 'b' },
  { 'HGET', key, 'a' },
  { 'HMGET', key, 'a' },
  { 'HGETALL', key },
  { 'HKEYS', key },
  { 'HEXISTS', key, 'a' },
  { 'HDEL', key, 'a' },
  { 'ZADD', key, 0, 'a' },
  { 'ZCARD', key },
  { 'ZREM', key, 'a' },
  { 'RPUSH', key, 'a', 'b' },
  { 'LPUSH', key, 'c' },
  { 'LLEN', key },
  { 'LRANGE', key, 0, 0 },
  { 'LINDEX', key, 0 },
  { 'LPOP', key, 3 },
  { 'SET', key, 'a', 'PX', 1000 },
  { 'GET', key },
  { 'EXISTS', key },
  { 'DEL', key },
}) do
  local answer = redis.pcall(unpack(command))
  if type(answer) == 'table' and answer.err then return { command[1], answer.err } end
end
return {}
