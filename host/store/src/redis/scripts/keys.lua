-- A partition's keys: always all of them, in this order. What is not named could have moved to another node of a Cluster
-- when the script is half done; what is named is looked for before it begins.
local owner, journal, events, raw, raws, seen = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local times, talks, active, conversations = KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local tasks, timers, links, media, names = KEYS[11], KEYS[12], KEYS[13], KEYS[14], KEYS[15]
local dead, died, reports, decisions = KEYS[16], KEYS[17], KEYS[18], KEYS[19]
local PARTITION = 19
local call = redis.call

-- Milliseconds, by this server's clock: the only one that leases know.
local function now()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The fence: whether a lease is worth anything.
local function held(token, epoch)
  local lease = call('HMGET', owner, 'token', 'epoch', 'until')
  return lease[1] == token and lease[2] == epoch and tonumber(lease[3]) > now()
end
