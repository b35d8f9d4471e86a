-- ARGV: the verb, the token, the epoch, how long (ms).
local verb, token, epoch, length = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if verb == 'acquire' then
  local lease = call('HMGET', owner, 'token', 'epoch', 'until')
  local time = now()
  -- The same token again: the answer was lost.
  if lease[1] and lease[1] ~= token and tonumber(lease[3]) > time then
    return 0
  end
  local last = tonumber(lease[2] or 0)
  if lease[1] ~= token then
    last = last + 1
  end
  call('HSET', owner, 'token', token, 'epoch', string.format('%.0f', last), 'until', string.format('%.0f', time + length))
  return last
end
if not held(token, epoch) then
  return 0
end
if verb == 'renew' then
  call('HSET', owner, 'until', string.format('%.0f', now() + length))
elseif verb == 'release' then
  call('HDEL', owner, 'token', 'until')
end
return 1
