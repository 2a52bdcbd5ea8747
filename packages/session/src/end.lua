-- Ends one session, or all of the account with its unused tokens.
-- ARGV: reason, sid ('' for all). Returns the number of sessions, and the seats they held.
local reason, only = ARGV[1], ARGV[2]
local base = base_of(KEYS[1])
local now, stamp = clock()
local seats = read_seats(base)
local sids = {}

if only ~= '' then
  sids[only] = true
else
  -- One number voids every token, and every session that the store may have forgotten: see
  -- login.lua and restore.lua.
  local account = read_account(base)
  account.rev = math.max(account.rev + 1, account.gen, stamp)
  account.gen = account.rev
  write_account(base, account, now)
  for _, sid in ipairs(read('ZRANGE', base .. 'sessions', 0, -1) or {}) do sids[sid] = true end
  for sid in pairs(seats) do sids[sid] = true end
end

local ended, freed = 0, {}
for sid in pairs(sids) do
  local s = read_session(base, sid, now)
  if s and s.state == 'live' then
    bury(base, sid, s.gen, s.exp, 'ended', reason, now)
    ended = ended + 1
  end
  local seat = seat_of(seats, sid)
  if seat then
    redis.call('HDEL', base .. 'seats', sid)
    if seat.ends > now then freed[#freed + 1] = seat end
  end
end
table.sort(freed, by('gen'))
return { ended, told(freed) }
