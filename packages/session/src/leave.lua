-- Gives a seat back if it is still that one; the session stays. A connection id is never used
-- twice, so a late leave can hit nobody else.
-- ARGV: sid, node, connection, call. A call number other than '' comes from a call that was given
-- up: only a seat that this call or an earlier one has taken is given back then, never one that a
-- repeated call has confirmed since.
local sid, node, conn, call = unpack(ARGV)
local base = base_of(KEYS[1])
local now = clock()
local value = read('HGET', base .. 'seats', sid)
local seat = value and parse_seat(sid, value)
if not seat or not is_seat(seat, node, conn) then return 0 end
if call ~= '' and seat.call > integer(call) then return 0 end

local s = read_session(base, sid, now)
if s then
  -- Without a seat it lives as long as its client was told; past that it is gone at once. [D23]
  local key = base .. 'session:' .. sid
  redis.call('HSET', key, 'left', '1', 'kept', s.exp)
  redis.call('PEXPIREAT', key, s.exp)
end
redis.call('HDEL', base .. 'seats', sid)
return 1
