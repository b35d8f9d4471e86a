-- Numbers have 53 bits here, and positions are microseconds: enough until 2255.
local function position(number)
  return string.format('%016.0f', number)
end

-- What an event takes of ARGV: id, kind, when accepted (ms, 16 digits), position wished for, conversations (its own
-- first), identities claimed for it, arrival, raw JSON.
local EVENT = 8

-- Puts the event that begins at ARGV[at] into its places, unless it has been there; gives 1 if it is new.
local function put(at, pending)
  local id, kind, received, wish = ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  local whose, claimed, arrival, json = ARGV[at + 4], ARGV[at + 5], ARGV[at + 6], ARGV[at + 7]
  if call('HEXISTS', events, id) == 1 or call('ZSCORE', seen, id) then
    return 0
  end
  local conversation = string.match(whose, '^%S+')
  local last = tonumber(call('HGET', owner, 'position') or 0)
  local place = position(math.max(wish, last + 1))
  call('HSET', owner, 'position', place)
  call('HSET', events, id, place .. ' ' .. whose .. '\n' .. arrival)
  if json ~= '' then
    call('HSET', raw, id, json)
    call('ZADD', raws, received, id)
  end
  call('ZADD', times, received, place .. ' ' .. id .. ' ' .. kind)
  call('ZADD', talks, 0, conversation .. ' ' .. received .. ' ' .. place .. ' ' .. id .. ' ' .. kind)
  call('ZADD', active, 'GT', received, conversation)
  for key in string.gmatch(claimed, '%S+') do
    call('ZADD', names, 0, conversation .. ' i ' .. key)
  end
  if pending then
    call('ZADD', journal, place, id)
  end
  return 1
end
