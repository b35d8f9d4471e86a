-- GCRA. KEYS: the pace's key; ARGV: interval and what may be taken ahead, both in microseconds. Gives how long to wait.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, ahead = tonumber(ARGV[1]), tonumber(ARGV[2])
local turn = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local next = turn + interval
redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000) + 1)
return string.format('%.0f', math.max(0, turn - now - ahead))
