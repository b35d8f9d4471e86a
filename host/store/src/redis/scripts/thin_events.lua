-- ARGV: token, epoch, remove events accepted until then (ms), raw JSON until then, ids until then, how many, how many
-- waiting events to pass over in either list. Gives how many events are gone, how many raws without their event, and how
-- many were passed over in either list.
if not held(ARGV[1], ARGV[2]) then
  return redis.error_reply('FENCED the lease is worth nothing')
end
local limit = ARGV[6]
local removed, thinned, over, beyond = 0, 0, 0, 0
if ARGV[3] ~= '' then
  for _, entry in ipairs(call('ZRANGEBYSCORE', times, '-inf', ARGV[3], 'LIMIT', ARGV[7], limit)) do
    local place, id, kind = string.match(entry, '^(%d+) (%S+) (.*)$')
    if call('ZSCORE', journal, id) then
      over = over + 1
    else
      local received = string.format('%016.0f', call('ZSCORE', times, entry))
      local conversation = string.match(call('HGET', events, id) or '', '^%d+ (%S+)')
      if conversation then
        call('ZREM', talks, conversation .. ' ' .. received .. ' ' .. place .. ' ' .. id .. ' ' .. kind)
      end
      call('HDEL', events, id)
      call('HDEL', raw, id)
      call('HDEL', decisions, id)
      call('ZREM', raws, id)
      call('ZREM', times, entry)
      call('ZADD', seen, received, id)
      removed = removed + 1
    end
  end
end
if ARGV[4] ~= '' then
  for _, id in ipairs(call('ZRANGEBYSCORE', raws, '-inf', ARGV[4], 'LIMIT', ARGV[8], limit)) do
    if call('ZSCORE', journal, id) then
      beyond = beyond + 1
    else
      thinned = thinned + call('HDEL', raw, id)
      call('ZREM', raws, id)
    end
  end
end
call('ZREMRANGEBYSCORE', seen, '-inf', ARGV[5])
return { removed, thinned, over, beyond }
