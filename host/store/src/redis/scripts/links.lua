-- ARGV: a conversation. Gives its links.
local whose = ARGV[1] .. ' l '
local found = {}
for _, name in ipairs(call('ZRANGE', names, '[' .. whose, '(' .. ARGV[1] .. ' l!', 'BYLEX')) do
  local link = call('HGET', links, ARGV[1] .. ' ' .. string.sub(name, #whose + 1))
  if link then
    found[#found + 1] = link
  end
end
return found
