-- KEYS: a space's documents, what the spaces of this tag hold (bytes, documents), the last revision given under this tag,
-- the answer to this very write. ARGV: the space, its quota ('': none), the revision ('': the next one), how long the answer
-- is kept (ms), and of each write its key, the revision expected ('': any), 1 or 0 for whether there is a body, the body.
local documents, spaces, last, told = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

-- What is sent again, because its answer was lost, would meet its own revisions.
local before = redis.call('GET', told)
if before then
  return before
end

local writes = {}
for at = 5, #ARGV, 4 do
  writes[#writes + 1] = { ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3] }
end
local weight, refusal = weigh(documents, spaces, ARGV[1], ARGV[2], writes)
if not weight then
  return refusal
end
local revisions = shelve(documents, spaces, last, ARGV[1], writes, weight, ARGV[3])
local text = 'written ' .. table.concat(revisions, ' ')
redis.call('SET', told, text, 'PX', ARGV[4])
return text
