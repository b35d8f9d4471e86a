-- KEYS: the nodes; ARGV: a node, how long it lives from now (ms), what it says of itself. Gives all that live.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now + ARGV[2]) .. ' ' .. ARGV[3])
local alive = {}
local all = redis.call('HGETALL', KEYS[1])
for at = 1, #all, 2 do
  local till, node = string.match(all[at + 1], '^(%d+) (.*)$')
  if tonumber(till) > now then
    alive[#alive + 1] = node
  else
    redis.call('HDEL', KEYS[1], all[at])
  end
end
return alive
