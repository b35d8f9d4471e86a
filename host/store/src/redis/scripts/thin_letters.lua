-- ARGV: token, epoch, remove those that died until then (ms), how many. Gives how many were removed.
if not held(ARGV[1], ARGV[2]) then
  return redis.error_reply('FENCED the lease is worth nothing')
end
local old = call('ZRANGEBYSCORE', died, '-inf', ARGV[3], 'LIMIT', 0, ARGV[4])
for _, id in ipairs(old) do
  call('HDEL', dead, id)
  call('ZREM', died, id)
end
return #old
