-- ARGV: token, epoch, the last moment (ms) at which something may have happened, a conversation. Removes it, and gives
-- what it was known by; nothing if it is busy again.
if not held(ARGV[1], ARGV[2]) then
  return redis.error_reply('FENCED the lease is worth nothing')
end
local conversation = ARGV[4]
local last = call('ZSCORE', active, conversation)
if not last or tonumber(last) > tonumber(ARGV[3]) then
  return { -1 }
end
local known = { call('HDEL', conversations, conversation) }
for _, name in ipairs(call('ZRANGE', names, '[' .. conversation .. ' ', '(' .. conversation .. '!', 'BYLEX')) do
  local kind, key = string.match(name, '^%S+ (%a) (.*)$')
  if kind == 'l' then
    call('HDEL', links, conversation .. ' ' .. key)
  else
    if kind == 'm' then
      call('HDEL', media, key)
    end
    known[#known + 1] = kind .. ' ' .. key
  end
  call('ZREM', names, name)
end
call('ZREM', active, conversation)
return known
