-- KEYS: what is known of the store itself; ARGV: format, partitions, id. Writes it where there is none; gives what is
-- there.
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'format', ARGV[1], 'partitions', ARGV[2], 'store', ARGV[3])
end
return redis.call('HMGET', KEYS[1], 'format', 'partitions', 'store')
