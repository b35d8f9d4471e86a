-- The one atomic write. ARGV is read from the left: single values, and lists with their length before them.
local at = 0
local function take()
  at = at + 1
  return ARGV[at]
end
local function list(width)
  local items = {}
  for number = 1, tonumber(take()) do
    items[number] = {}
    for field = 1, width do
      items[number][field] = take()
    end
  end
  return items
end

local token, epoch, channel, partition = take(), take(), take(), take()
local handled = take()
local conversation, expected, fingerprint, state = take(), take(), take(), take()
local decided, decision = take(), take()
local finished, letters, settled, puts = list(1), list(3), list(1), list(2)
local cleared, set, changed, files, told = list(2), list(3), list(4), list(3), list(1)
local known = list(1)
local shelved = {}
for number = 1, tonumber(take()) do
  local space, quota = take(), take()
  shelved[number] = { space = space, quota = quota, writes = list(4) }
end
local appended = tonumber(take())

if not held(token, epoch) then
  return { 'fenced' }
end

-- The witness: whether this very commit has been applied before.
local version, writer = 0, ''
if conversation ~= '' then
  local kept = call('HGET', conversations, conversation)
  if kept then
    version, writer = string.match(kept, '^(%d+) (%S+) ')
    version = tonumber(version)
  end
end
if handled ~= '' then
  if call('ZCOUNT', journal, handled, handled) == 0 then
    return { 'before' }
  end
elseif conversation ~= '' then
  if version == expected + 1 and writer == fingerprint then
    return { 'before' }
  end
elseif #finished + #letters > 0 then
  local there = 0
  for _, task in ipairs(finished) do there = there + call('HEXISTS', tasks, task[1]) end
  for _, letter in ipairs(letters) do there = there + call('HEXISTS', tasks, letter[1]) end
  if there == 0 then
    return { 'before' }
  end
end
if conversation ~= '' and version ~= tonumber(expected) then
  return { 'conflict', version }
end
-- The caller has applied its changes to what it read; it reads again if that is no longer there.
for _, link in ipairs(changed) do
  if (call('HGET', links, link[1] .. ' ' .. link[2]) or '') ~= link[3] then
    return { 'again' }
  end
end
-- Behind the partition's keys come three for each space: its documents, what the spaces of its tag hold, their last
-- revision. All is weighed before anything is written.
for number, one in ipairs(shelved) do
  local first = PARTITION + 3 * number - 2
  one.documents, one.spaces, one.last = KEYS[first], KEYS[first + 1], KEYS[first + 2]
  one.weight = weigh(one.documents, one.spaces, one.space, one.quota, one.writes)
  if not one.weight then
    return { 'overtaken', number - 1 }
  end
end
for _, one in ipairs(shelved) do
  shelve(one.documents, one.spaces, one.last, one.space, one.writes, one.weight, '')
end

if handled ~= '' then
  call('ZREMRANGEBYSCORE', journal, handled, handled)
end
if conversation ~= '' then
  call('HSET', conversations, conversation, string.format('%.0f', expected + 1) .. ' ' .. fingerprint .. ' ' .. state)
  call('ZADD', active, 'NX', 0, conversation)
end
for _, task in ipairs(finished) do
  call('HDEL', tasks, task[1])
end
for _, letter in ipairs(letters) do
  call('HDEL', tasks, letter[1])
  call('HSET', dead, letter[1], letter[3])
  call('ZADD', died, letter[2], letter[1])
end
for _, letter in ipairs(settled) do
  call('HDEL', dead, letter[1])
  call('ZREM', died, letter[1])
end
for _, task in ipairs(puts) do
  call('HSET', tasks, task[1], task[2])
end
for _, timer in ipairs(cleared) do
  local kept = timer[2] ~= '' and call('HGET', timers, timer[1])
  if timer[2] == '' or (kept and string.match(kept, '^%d+') == timer[2]) then
    call('HDEL', timers, timer[1])
  end
end
for _, timer in ipairs(set) do
  call('HSET', timers, timer[1], timer[2] .. ' ' .. timer[3])
end
for _, link in ipairs(changed) do
  call('HSET', links, link[1] .. ' ' .. link[2], link[4])
  call('ZADD', names, 0, link[1] .. ' l ' .. link[2])
  call('ZADD', active, 'NX', 0, link[1])
end
for _, file in ipairs(files) do
  call('HSET', media, file[1], file[3])
  call('ZADD', names, 0, file[2] .. ' m ' .. file[1])
end
for _, name in ipairs(known) do
  call('ZADD', names, 0, name[1])
end
for _, report in ipairs(told) do
  call('XADD', reports, 'MAXLEN', '~', 1000, '*', 'report', report[1])
end
if decided ~= '' and call('HEXISTS', events, decided) == 1 then
  call('HSET', decisions, decided, decision)
end
local any = 0
for _ = 1, appended do
  any = any + put(at + 1, true)
  at = at + EVENT
end
if any > 0 then
  call('PUBLISH', channel, partition)
end
return { 'now', any }
