-- KEYS: a space's documents, what the spaces of this tag hold (bytes, documents), the last revision given under this tag,
-- the answer to this very write. ARGV: the space, its quota ('': none), the revision ('': the next one), how long the answer
-- is kept (ms), and of each write its key, the revision expected ('': any), 1 or 0 for whether there is a body, the body.
local documents, spaces, last, told = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local call = redis.call

-- What is sent again, because its answer was lost, would meet its own revisions.
local before = call('GET', told)
if before then
  return before
end

-- A revision has always so many digits, and stands before the body.
local DIGITS, NONE = 16, string.rep('0', 16)
local bytes, count = string.match(call('HGET', spaces, ARGV[1]) or '0 0', '^(%d+) (%d+)$')
bytes, count = tonumber(bytes), tonumber(count)
local after = bytes
for at = 5, #ARGV, 4 do
  local key, expected = ARGV[at], ARGV[at + 1]
  local length = call('HSTRLEN', documents, key)
  if expected ~= '' then
    local found = NONE
    if length > 0 then
      found = string.sub(call('HGET', documents, key), 1, DIGITS)
    end
    if found ~= expected then
      return 'conflict ' .. (at - 5) / 4 .. ' ' .. found
    end
  end
  if length > 0 then
    after, count = after - #key - (length - DIGITS), count - 1
  end
  if ARGV[at + 2] == '1' then
    after, count = after + #key + #ARGV[at + 3], count + 1
  end
end
if ARGV[2] ~= '' and after > bytes and after > tonumber(ARGV[2]) then
  return 'full ' .. string.format('%.0f', after)
end

-- Microseconds, as positions are: also after a failover no revision is given twice.
local given, revision = call('GET', last) or NONE, ARGV[3]
if revision == '' then
  local time = call('TIME')
  revision = string.format('%016.0f', math.max(time[1] * 1000000 + time[2], tonumber(given) + 1))
end
if revision > given then
  call('SET', last, revision)
end
local answer = { 'written' }
for at = 5, #ARGV, 4 do
  if ARGV[at + 2] == '1' then
    call('HSET', documents, ARGV[at], revision .. ARGV[at + 3])
    answer[#answer + 1] = revision
  else
    call('HDEL', documents, ARGV[at])
    answer[#answer + 1] = NONE
  end
end
if count > 0 then
  call('HSET', spaces, ARGV[1], string.format('%.0f %.0f', after, count))
else
  call('HDEL', spaces, ARGV[1])
end
local text = table.concat(answer, ' ')
call('SET', told, text, 'PX', ARGV[4])
return text
