-- Drops the lapsed seats that a dead node had in one account, and tells of them: each to one caller
-- only. Answers the account, these seats, and how many of that node still stand.
-- ARGV: node.
local node = ARGV[1]
local base = base_of(KEYS[1])
local now = clock()
local lapsed, account, left = {}, '', 0
for sid, value in pairs(read_seats(base)) do
  local seat = parse_seat(sid, value)
  if seat and seat.node == node then
    if is_seated(value, now) then
      left = left + 1
    else
      local s = read_session(base, sid, now)
      if s then account = s.account end
      redis.call('HDEL', base .. 'seats', sid)
      local is_news = seat.ends <= now and seat.ends + SESSION_TTL_MS > now
      if is_news then lapsed[#lapsed + 1] = seat end
    end
  end
end
table.sort(lapsed, by('gen'))
return { account, told(lapsed), left }
