-- Opens a session with a token, once. [D19]
-- ARGV: token hash, sid, secret hash, node, connection, call, client metadata, and the
-- time after which the call was given up ('' for none).
-- Returns 'claimed' and the claim, or a refusal.
--
-- A call that its node has given up still runs when Redis wakes, so the token is marked as used by
-- a seat instead of deleted: the same connection finds its own session again, anybody else is a
-- replay. The mark is written before the limit is asked for, and a refusal is remembered with it.
local hash, sid, secret, node, conn, call, client, late_after = unpack(ARGV)
local base = base_of(KEYS[1])
local now, stamp = clock()
if is_late(late_after, now) then return { 'late', now } end
local token_key = base .. 'token:' .. hash
local token = read_fields(token_key)
local seat = { node = node, conn = conn, call = integer(call) }

if not token.account or not token.limit or integer(token.kept) <= now then return { 'token' } end
local account = read_account(base)
local seats = read_seats(base)

-- The token of another, or of this client on another connection: one that lost the answer, or asked
-- twice at once, is no thief. So the session it opened is over only if its client had the answer,
-- and has had it for a while.
local function replayed()
  local s = token.outcome == 'claimed' and read_session(base, token.sid or '', now)
  if not REPLAY_ENDS or not s or s.state ~= 'live' then return { 'replayed' } end
  local since = s.proven
  -- A session that was resumed: its client had the id.
  if since == 0 and s.prev ~= '' then since = math.floor(s.gen / 1000) end
  if since == 0 or now < since + REPLAY_GRACE_MS then return { 'replayed' } end
  return revoke(base, s, 'replayed', now)
end

-- Of a damaged mark the rest is enough to know that it was used.
if token.node or token.conn or token.sid or token.outcome then
  if not is_seat(token, node, conn) then return replayed() end
  local outcome = token.outcome
  if outcome == 'limit' or outcome == 'flapping' then return { outcome } end
  if outcome ~= 'claimed' then return { 'token' } end
  local s = read_session(base, token.sid or '', now)
  if not s or s.state ~= 'live' or s.exp <= now then return { 'token' } end
  if s.cur ~= secret then return { 'token' } end -- resumed elsewhere in the meantime
  local own = seat_of(seats, s.sid)
  if own and own.ends > now then
    -- From now on only a `leave` of this call or a later one may take the seat away.
    own.call = math.max(own.call, seat.call)
    write_seat(base, own, now)
    local lapsed = drop_lapsed(base, seats, now, s.sid)
    return claimed(account, s, count_seated(seats, now, s.sid) + 1, lapsed, false)
  end
  local answer, refusal = claim(base, account, seats, s, seat, false, now, stamp)
  if answer then return answer end
  if refusal ~= 'over' then return { refusal } end
  bury(base, s.sid, s.gen, s.exp, 'displaced', '', now)
  return { 'token' }
end

-- Another epoch is another Redis, or one that may have forgotten that the token was used.
if token.epoch ~= epoch() then return { 'epoch' } end
if integer(token.rev) < account.rev then return { 'token' } end

redis.call('HSET', token_key, 'node', node, 'conn', conn, 'sid', sid, 'outcome', 'claimed')
local login = next_generation(account, stamp)
account.limit = limit_of(token.limit)
account.policy = token.policy == 'reject' and 'reject' or 'displace'
account.rules = login
local answer, refusal = claim(base, account, seats, {
  sid = sid, state = 'live', account = token.account, meta = token.meta or '{}', client = client,
  cur = secret, prev = '', prevexp = 0, proven = 0, login = login, gen = login,
  exp = now + SESSION_TTL_MS, node = node, conn = conn, left = true, lost = '', over = '', older = '',
  beside = '', asked = 0,
}, seat, false, now, stamp, true)
if not answer then
  redis.call('HSET', token_key, 'outcome', refusal)
  return { refusal }
end
cap_sessions(base, account.limit)
return answer
