-- ARGV: the wake-up's channel, the partition, events. Gives 1 or 0 for each.
local new, any = {}, 0
for at = 3, #ARGV, EVENT do
  local one = put(at, true)
  new[#new + 1] = one
  any = any + one
end
if any > 0 then
  call('PUBLISH', ARGV[1], ARGV[2])
end
return new
