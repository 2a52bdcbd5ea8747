-- Drops the seats of one account whose lease ran out a while ago, and tells whose they were: those
-- of a node that died, of an account that nobody has logged in to since.
-- ARGV: how long ago, in ms. A node that was only paused seats its own again until then.
local slack = integer(ARGV[1])
local base = base_of(KEYS[1])
local now = clock()
local lapsed, account = {}, ''
for sid, value in pairs(read_seats(base)) do
  local seat = parse_seat(sid, value)
  if seat and seat.ends + slack <= now then
    local s = read_session(base, sid, now)
    if s then account = s.account end
    redis.call('HDEL', base .. 'seats', sid)
    lapsed[#lapsed + 1] = seat
  end
end
table.sort(lapsed, by('gen'))
return { account, told(lapsed) }
