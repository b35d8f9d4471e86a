-- ARGV: for each event 1 if it waits in the journal, and the event.
local new = {}
for at = 1, #ARGV, EVENT + 1 do
  new[#new + 1] = put(at + 1, ARGV[at] == '1')
end
return new
