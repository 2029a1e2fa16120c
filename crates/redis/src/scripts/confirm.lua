-- KEYS: what tails write before they wait for replicas
return redis.call('SET', KEYS[1], 1)
