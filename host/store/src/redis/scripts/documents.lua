-- Documents of one space. A revision has always so many digits, and stands before the body.
local DIGITS, NONE = 16, string.rep('0', 16)

-- What a space will hold (bytes, documents), or nil and why nothing can be written. Each write is a key, the revision
-- expected ('': any), '1' for whether there is a body, the body.
local function weigh(documents, spaces, space, quota, writes)
  local bytes, count = string.match(redis.call('HGET', spaces, space) or '0 0', '^(%d+) (%d+)$')
  bytes, count = tonumber(bytes), tonumber(count)
  local after = bytes
  for number, write in ipairs(writes) do
    local key, expected = write[1], write[2]
    local length = redis.call('HSTRLEN', documents, key)
    if expected ~= '' then
      local found = NONE
      if length > 0 then
        found = string.sub(redis.call('HGET', documents, key), 1, DIGITS)
      end
      if found ~= expected then
        return nil, 'conflict ' .. number - 1 .. ' ' .. found
      end
    end
    if length > 0 then
      after, count = after - #key - (length - DIGITS), count - 1
    end
    if write[3] == '1' then
      after, count = after + #key + #write[4], count + 1
    end
  end
  if quota ~= '' and after > bytes and after > tonumber(quota) then
    return nil, 'full ' .. string.format('%.0f', after)
  end
  return { after, count }
end

-- Writes what was weighed; gives the revisions. `last` is the last one given under this tag, `revision` the one to give
-- ('': the next one).
local function shelve(documents, spaces, last, space, writes, weight, revision)
  -- Microseconds, as positions are: also after a failover no revision is given twice.
  local given = redis.call('GET', last) or NONE
  if revision == '' then
    local time = redis.call('TIME')
    revision = string.format('%016.0f', math.max(time[1] * 1000000 + time[2], tonumber(given) + 1))
  end
  if revision > given then
    redis.call('SET', last, revision)
  end
  local revisions = {}
  for number, write in ipairs(writes) do
    if write[3] == '1' then
      redis.call('HSET', documents, write[1], revision .. write[4])
      revisions[number] = revision
    else
      redis.call('HDEL', documents, write[1])
      revisions[number] = NONE
    end
  end
  if weight[2] > 0 then
    redis.call('HSET', spaces, space, string.format('%.0f %.0f', weight[1], weight[2]))
  else
    redis.call('HDEL', spaces, space)
  end
  return revisions
end
