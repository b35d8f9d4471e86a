-- ARGV: token, epoch, the position to begin after, how many. Gives position, event and raw JSON of each.
if not held(ARGV[1], ARGV[2]) then
  return redis.error_reply('FENCED the lease is worth nothing')
end
local waiting = call('ZRANGEBYSCORE', journal, '(' .. ARGV[3], '+inf', 'LIMIT', 0, ARGV[4])
local found = {}
for _, id in ipairs(waiting) do
  found[#found + 1] = string.format('%.0f', call('ZSCORE', journal, id))
  found[#found + 1] = call('HGET', events, id) or ''
  found[#found + 1] = call('HGET', raw, id) or ''
end
return found
