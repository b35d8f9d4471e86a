-- ARGV: for each event 1 if it waits in the journal, how it was decided ('': nobody knows), and the event.
local new = {}
for at = 1, #ARGV, EVENT + 2 do
  local decision, id = ARGV[at + 1], ARGV[at + 2]
  new[#new + 1] = put(at + 2, ARGV[at] == '1')
  if decision ~= '' and call('HEXISTS', events, id) == 1 then
    call('HSET', decisions, id, decision)
  end
end
return new
