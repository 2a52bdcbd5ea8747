-- Moves a session to another connection, with a new secret. [D20] [D21]
-- ARGV: sid, presented hash, new hash, node, connection, call, client metadata ('' keeps), when
-- the client asked ('' unknown), and the time after which the call was given up ('' for none).
-- Returns 'claimed' and the claim, or a refusal.
local sid, presented, secret, node, conn, call, client, asked, late_after = unpack(ARGV)
local base = base_of(KEYS[1])
local now, stamp = clock()
if is_late(late_after, now) then return { 'late', now } end
local s = read_session(base, sid, now)
if not s or s.state ~= 'live' or s.exp <= now then return { 'session' } end

local is_current = s.cur == presented
local is_repeated = is_seat(s, node, conn)
-- Until when the client was told that this id is good; nil if it is none of those before.
local told_until = s.prev == presented and s.prevexp or beside_until(s.beside, presented)
local is_older = not told_until and is_in(s.older, presented)
-- A clock that has jumped back says nothing of who asked first.
asked = asked ~= '' and math.min(integer(asked), now) or 0
local last_asked = s.asked <= now and s.asked or 0

-- Its client has asked again since, and was let in: this call was waiting somewhere. It must not
-- cancel the id of the later one, and its client is no thief.
local function is_overtaken()
  if is_current or is_repeated or asked == 0 then return false end
  return asked < last_asked and (told_until ~= nil or is_older)
end

-- The secret before is good until a while after the client has shown that it got the one after it:
-- whoever lost an answer knows no other. Never past its own expiry, and never the one before that.
local function is_alias()
  if not told_until or told_until <= now then return false end
  return s.proven == 0 or now < s.proven + ALIAS_GRACE_MS
end

-- Replaced by whoever had it, past its grace, and presented elsewhere. An id that was cancelled,
-- and that nobody has used since, is none of these.
local function is_stolen()
  if is_repeated then return false end
  if s.prev == presented then return s.prevexp > now end
  return is_older
end

if is_overtaken() then return { 'overtaken' } end
if not is_current and not is_alias() then
  if not is_stolen() then return { 'session' } end
  -- Right behind a resume it may be a leftover of the client's own.
  local is_recent = now < math.floor(s.gen / 1000) + REPLAY_GRACE_MS
  if not THEFT_ENDS or is_recent then return { 'stolen' } end
  return revoke(base, s, 'stolen', now)
end
local gen, exp = s.gen, s.exp
-- [§9] An alias used again stays the previous one. What it cancels may be what its client has: it
-- is good for as long as the alias is. Whoever uses that has moved on from the alias.
if not is_current and s.prev == presented then
  s.beside = s.cur == secret and s.beside or with_beside(s.beside, s.cur, s.exp)
else
  s.older = with_older(s.older, s.prev)
  s.prev, s.prevexp, s.beside = presented, is_current and s.exp or told_until, ''
end
s.cur, s.proven, s.asked = secret, 0, asked
s.exp = now + SESSION_TTL_MS
if client ~= '' then s.client = client end

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
