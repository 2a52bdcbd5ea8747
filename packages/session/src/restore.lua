-- Puts back a seat that renew.lua found absent, from what its node knows: the lease lapsed while
-- the node was paused or cut off, a promoted replica had not heard of it, or Redis came back empty.
-- Absence is not loss. Everything is asked again, since the world may have moved in between.
-- ARGV: sid, node, connection, generation, proven, expiry, login, secret hash, account, limit,
-- policy, metadata, client metadata. Returns one word.
local sid, node, conn, gen, proven, exp, login, secret, name, limit, policy, meta, client =
  unpack(ARGV)
gen, exp, login, limit = integer(gen), integer(exp), integer(login), math.max(1, integer(limit))
local base = base_of(KEYS[1])
local now = clock()
local s = read_session(base, sid, now)
local account = read_account(base)
local seats = read_seats(base)

local own = seat_of(seats, sid)
if own and not is_seat(own, node, conn) and own.gen > gen then return 'takenOver' end
local over = s and end_of(s, gen)
if over then return over end
if s and not is_seat(s, node, conn) and s.gen >= gen then return 'takenOver' end
-- All of the account was ended, and the store has forgotten only this session.
if account.rev >= login then return 'ended' end

local has_place = own and own.ends > now
if account.rules <= login then
  account.limit, account.policy, account.rules = limit, policy, login
end
local others, surplus = {}, 0
if not has_place and count_seated(seats, now, sid) >= account.limit then
  others = seated(seats, now, sid, 'gen')
  surplus = #others + 1 - account.limit
end

local kept = math.max(exp, now + 2 * LEASE_MS)
if s and s.gen >= gen then
  s.kept = math.max(s.kept, kept)
else
  -- The node knows better. The secret that the store still had is the one before.
  local is_rotated = s and s.cur ~= secret
  s = { sid = sid, state = 'live', account = name, meta = meta, client = client, cur = secret,
    prev = is_rotated and s.cur or '', prevexp = is_rotated and s.exp or 0, proven = 0, gen = gen,
    login = login, exp = exp, kept = kept, node = node, conn = conn, lost = '', over = '',
    older = s and s.older or '', beside = '', asked = s and s.asked or 0 }
end

if surplus > 0 and others[surplus].gen > gen then
  -- No room: it yields to the higher generations. The rules of the account stay as they were.
  s.left = true
  write_session(base, s)
  bury(base, sid, s.gen, s.exp, 'displaced', '', now)
  return 'displaced'
end

if proven == '1' and s.proven == 0 then s.proven = now end
s.left, s.node, s.conn = false, node, conn
account.gen = math.max(account.gen, s.gen)
write_session(base, s)
write_account(base, account, now)
-- Its node holds it, so no call that was given up before may take it away: see leave.lua.
write_seat(base, { sid = sid, gen = s.gen, login = s.login, ends = now + LEASE_MS,
  proven = proven == '1', call = 1e15, node = node, conn = conn }, now)
local losers = {}
for i = 1, surplus do losers[i] = others[i] end
remove_losers(base, losers, now)
rank_session(base, sid, s.gen, now)
cap_sessions(base, account.limit)
return 'held'
