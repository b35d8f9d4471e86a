-- Gives: events, pending events, the oldest of them, conversations, tasks, timers, links, media, dead letters, reports.
local oldest = call('ZRANGE', journal, 0, 0)[1]
local entry = oldest and call('HGET', events, oldest) or ''
return {
  call('HLEN', events), call('ZCARD', journal), entry, call('HLEN', conversations), call('HLEN', tasks),
  call('HLEN', timers), call('HLEN', links), call('HLEN', media), call('HLEN', dead), call('XLEN', reports),
}
