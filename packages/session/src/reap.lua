-- Drops the lapsed seats that a dead node had in one account, and tells of them: each to one caller
-- only. Answers the account, these seats, and how many of that node still stand. Of a node that is
-- known to be dead since a moment the seats go whose lease still runs, too; but none that was taken
-- or renewed after it, since then the node is not dead.
-- ARGV: node, that moment in milliseconds or 0.
local node, died = ARGV[1], integer(ARGV[2])
local base = base_of(KEYS[1])
local now = clock()
local lapsed, account, left = {}, '', 0
for sid, value in pairs(read_seats(base)) do
  local seat = parse_seat(sid, value)
  if seat and seat.node == node then
    local is_dead = seat.ends <= died + LEASE_MS and seat.gen <= died * 1000
    if is_seated(value, now) and not is_dead then
      left = left + 1
    else
      local s = read_session(base, sid, now)
      if s then account = s.account end
      redis.call('HDEL', base .. 'seats', sid)
      local is_news = (is_dead or seat.ends <= now) and seat.ends + SESSION_TTL_MS > now
      if is_news then lapsed[#lapsed + 1] = seat end
    end
  end
end
table.sort(lapsed, by('gen'))
return { account, told(lapsed), left }
