-- Moves a session to another connection, with a new secret. [D20] [D21]
-- ARGV: sid, presented hash, new hash, node, connection, call, client metadata ('' keeps), and
-- the time after which the call was given up ('' for none).
-- Returns 'claimed' and the claim, or a refusal.
local sid, presented, secret, node, conn, call, client, late_after = unpack(ARGV)
local base = base_of(KEYS[1])
local now, stamp = clock()
if is_late(late_after, now) then return { 'late', now } end
local s = read_session(base, sid, now)
if not s or s.state ~= 'live' or s.exp <= now then return { 'session' } end

-- The secret before is good until a while after the client has shown that it got the one after it:
-- whoever lost an answer knows no other. Never past its own expiry, and never the one before that.
local function is_alias()
  if s.prev ~= presented or s.prevexp <= now then return false end
  return s.proven == 0 or now < s.proven + ALIAS_GRACE_MS
end

-- Replaced by whoever had it, past its grace, and presented elsewhere. An id that was cancelled
-- before its client had it is none of these.
local function is_stolen()
  if is_seat(s, node, conn) then return false end
  if s.prev == presented then return s.prevexp > now end
  return string.find(' ' .. s.older .. ' ', ' ' .. short(presented) .. ' ', 1, true) ~= nil
end

local is_current = s.cur == presented
if not is_current and not is_alias() then
  if not is_stolen() then return { 'session' } end
  if not THEFT_ENDS then return { 'stolen' } end
  return revoke(base, s, 'stolen', now)
end
local gen, exp = s.gen, s.exp
-- [§9] An alias used again cancels the secret in between, and stays the previous one.
if is_current then
  s.prevexp = s.exp
  s.older = with_older(s.older, s.prev)
end
s.prev, s.cur, s.proven = presented, secret, 0
s.exp = now + SESSION_TTL_MS
if client ~= '' then s.client = client end

local is_repeated = is_seat(s, node, conn)
local account = read_account(base)
local seat = { node = node, conn = conn, call = integer(call) }
local is_suspect = not is_current and not is_repeated
local answer, refusal =
  claim(base, account, read_seats(base), s, seat, is_suspect, now, stamp)
if answer then return answer end
if refusal ~= 'over' then return { refusal } end
-- Newer logins hold all the places: this session is over, and stays so when one gets free. [D35]
bury(base, sid, gen, exp, 'displaced', '', now)
return { 'session' }
