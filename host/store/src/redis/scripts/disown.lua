-- KEYS: an index; ARGV: a conversation, keys of the index. Removes those that lead to it.
local removed = 0
for at = 2, #ARGV do
  local kept = redis.call('HGET', KEYS[1], ARGV[at])
  if kept and string.match(kept, '^%S+') == ARGV[1] then
    removed = removed + redis.call('HDEL', KEYS[1], ARGV[at])
  end
end
return removed
