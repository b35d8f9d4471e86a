-- KEYS: an index; ARGV: a key of it, what is there ('': nothing), what shall be there. Gives what is there then.
local kept = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if kept == ARGV[2] then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
  return ARGV[3]
end
return kept
