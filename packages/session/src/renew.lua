-- The verdict on held seats, and their leases. KEYS: accounts (in a Cluster one). ARGV: for each
-- account the number of its holdings, then for each: sid, node, connection, generation, proven,
-- expiry. Returns one word each. 'absent': nothing speaks against the seat, but it is not there;
-- restore.lua puts it back. 'unknown': that account could not be asked or written, which must not
-- keep the others from their verdict; the first such error is returned last. A seat that was
-- written a moment ago is read and not written again.
local now = clock()
local is_writing = false -- this Redis has taken a write of this call

-- A primary that its replicas have left may write nothing, and others may have given the seat away:
-- what it has to say of a lease counts only if it would write it. Asks by a write without effect.
local function must_write(base)
  if not is_writing then redis.call('DEL', base .. 'nothing') end
  is_writing = true
end

-- Past the told expiry a seat keeps its session alive. [D23]
local function keep(base, sid, exp)
  local kept = now + 2 * LEASE_MS
  if integer(exp) >= kept then return end
  local s = read_session(base, sid, now)
  if not s or s.kept >= kept then return end
  redis.call('HSET', base .. 'session:' .. sid, 'kept', kept)
  redis.call('PEXPIREAT', base .. 'session:' .. sid, kept)
  redis.call('PEXPIREAT', base .. 'account', now + ACCOUNT_KEPT_MS)
  redis.call('PEXPIREAT', base .. 'sessions', now + ACCOUNT_KEPT_MS)
end

local function prove(base, sid)
  local s = read_session(base, sid, now)
  if s and s.proven == 0 then
    redis.call('HSET', base .. 'session:' .. sid, 'proven', now)
  end
end

-- No seat: what does the session itself say?
local function verdict_without_seat(base, sid, node, conn, gen)
  local s = read_session(base, sid, now)
  if not s then return 'absent' end
  local over = end_of(s, gen)
  if over then return over end
  if not is_seat(s, node, conn) and s.gen >= gen then return 'takenOver' end
  return 'absent'
end

local function verdict(base, sid, node, conn, gen, proven, exp)
  local value = read('HGET', base .. 'seats', sid)
  local seat = value and parse_seat(sid, value)
  if not seat then return verdict_without_seat(base, sid, node, conn, gen) end
  if not is_seat(seat, node, conn) then
    return seat.gen > gen and 'takenOver' or verdict_without_seat(base, sid, node, conn, gen)
  end
  -- A lapsed seat may have lost its place to somebody who did not drop it.
  if seat.ends <= now then return verdict_without_seat(base, sid, node, conn, gen) end
  local is_newly_proven = proven == '1' and not seat.proven
  -- One that ends too late was damaged, or written by a clock that was ahead: nobody would see it.
  local is_due = seat.ends - now < RENEW_BELOW_MS or seat.ends > now + LEASE_MS
  if is_due or is_newly_proven then
    seat.ends = now + LEASE_MS
    seat.proven = seat.proven or is_newly_proven
    write_seat(base, seat, now)
    if is_newly_proven then prove(base, sid) end
    keep(base, sid, exp)
    is_writing = true
  else
    must_write(base)
  end
  return 'held'
end

local verdicts, at, fault = {}, 1, ''
for _, account_key in ipairs(KEYS) do
  local base = base_of(account_key)
  local count = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, count do
    local sid, node, conn, gen, proven, exp = unpack(ARGV, at, at + 5)
    local is_known, answer = pcall(verdict, base, sid, node, conn, tonumber(gen), proven, exp)
    if not is_known and fault == '' then
      fault = type(answer) == 'table' and answer.err or tostring(answer)
    end
    verdicts[#verdicts + 1] = is_known and answer or 'unknown'
    at = at + 6
  end
end
verdicts[#verdicts + 1] = fault
return verdicts
