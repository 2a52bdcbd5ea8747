-- How login and resume take a seat; stands between prelude.lua and each of the two.

-- A call that its node gave up is not run when Redis wakes: its client was told so, and may be
-- seated elsewhere by now.
local function is_late(late_after, now)
  return late_after ~= '' and now > integer(late_after)
end

-- Displacements within the window: the kick-war breaker. [D35]
local function recent_flaps(account, now)
  local recent = {}
  for _, at in ipairs(account.flaps) do
    -- None was in the future: damage, or a clock that was ahead, would hold an account off so.
    local ms = tonumber(at)
    if ms <= now and ms + FLAP_WINDOW_MS > now then recent[#recent + 1] = at end
  end
  return recent
end

-- Who must go so that a session of this login's age gets a place: the newest logins stay. [D33]
-- 'over': newer logins hold all the places. None is newer than a fresh one, whatever they say.
local function admit(account, seats, sid, login, now, is_fresh)
  if count_seated(seats, now, sid) < account.limit then return {} end
  if account.policy == 'reject' then return nil, 'limit' end
  local others = seated(seats, now, sid, 'login')
  local surplus = #others + 1 - account.limit
  if surplus <= 0 then return {} end -- one was damaged
  if not is_fresh and others[surplus].login > login then return nil, 'over' end
  if FLAP_DISPLACEMENTS_MAX > 0 and #recent_flaps(account, now) >= FLAP_DISPLACEMENTS_MAX then
    return nil, 'flapping'
  end
  local losers = {}
  for i = 1, surplus do losers[i] = others[i] end
  return losers
end

-- Somebody was refused for seats that take all the places. Where the lease of one ends later than
-- any could, it ends a lease from now, so that nobody is locked out for longer than that.
local function shorten(base, seats, now)
  local latest = now + LEASE_MS
  for sid, value in pairs(seats) do
    if is_seated(value, now) and tonumber(string.match(value, '^%d+')) > latest then
      redis.call('HSET', base .. 'seats', sid, (string.gsub(value, '^%d+', text(latest))))
    end
  end
end

-- Drops lapsed and damaged seats; returns those to tell of. One that lapsed a session's life ago is
-- no news to anybody.
local function drop_lapsed(base, seats, now, except)
  local news = {}
  for sid, value in pairs(seats) do
    if not is_seated(value, now) then
      redis.call('HDEL', base .. 'seats', sid)
      local seat = parse_seat(sid, value)
      local is_news = seat and seat.ends <= now and seat.ends + SESSION_TTL_MS > now
      if is_news and sid ~= except then news[#news + 1] = seat end
    end
  end
  table.sort(news, by('gen'))
  return news
end

-- A few letters of each secret that its client replaced, the last one first: enough to know it by.
local OLDER_LETTERS, OLDER_MAX = 8, 4

local function short(hash)
  return string.sub(hash, 1, OLDER_LETTERS)
end

local function with_older(older, hash)
  if hash == '' then return older end
  local list = older == '' and short(hash) or short(hash) .. ' ' .. older
  return string.sub(list, 1, OLDER_MAX * (OLDER_LETTERS + 1) - 1)
end

local function is_in(older, hash)
  return string.find(' ' .. older .. ' ', ' ' .. short(hash) .. ' ', 1, true) ~= nil
end

-- Ids that were cancelled when the one before them was used again, the last one first, each with
-- its expiry as told: `hash:expiry` joined by commas. Its client may have any of them, and calls of
-- one moment that come late can be many: whoever is forgotten here cannot come back.
local BESIDE_MAX = 16

local function with_beside(beside, hash, exp)
  local list = { hash .. ':' .. text(exp) }
  for one in string.gmatch(beside, '[^,]+') do
    if #list < BESIDE_MAX then list[#list + 1] = one end
  end
  return table.concat(list, ',')
end

local function beside_until(beside, hash)
  for one, exp in string.gmatch(beside, '([%w_-]+):(%d+)') do
    if one == hash then return integer(exp) end
  end
end

-- Two have a credential of this session, and nobody knows which is its owner: by the settings it
-- is over for both.
local function revoke(base, s, word, now)
  local seat = seat_of(read_seats(base), s.sid)
  bury(base, s.sid, s.gen, s.exp, 'ended', word, now)
  return { word, 'ended', s.account, told(seat and seat.ends > now and { seat } or {}) }
end

local function claimed(account, s, online, lapsed, is_alias)
  return { 'claimed', s.sid, s.gen, s.login, s.exp, online, account.limit, account.policy,
    s.account, s.meta, s.client, s.cur, is_alias and 1 or 0, s.lost, s.over, told(lapsed) }
end

-- Seats `s`, in its own place if it has one, else by the rules of the account. nil and the reason
-- when it may not, and then nothing of it was written. `s` is as it shall be stored, save for what
-- the seat decides; `s.node`, `s.conn`, `s.left` and `s.gen` still tell of its last claim.
local function claim(base, account, seats, s, seat, is_alias, now, stamp, is_fresh)
  local own = seat_of(seats, s.sid)
  local has_place = own and own.ends > now
  local losers, refusal = {}, nil
  if not has_place then
    losers, refusal = admit(account, seats, s.sid, s.login, now, is_fresh)
  end
  if refusal == 'limit' then shorten(base, seats, now) end
  if refusal then return nil, refusal end

  -- A repeated call of one connection is told again whom it displaced: the first answer was lost,
  -- and somebody has to tell their nodes.
  local is_repeated = is_seat(s, seat.node, seat.conn)
  local taken = ''
  if not s.left and not is_repeated then taken = told({ s }) end
  s.lost = joined(is_repeated and s.lost or '', told(losers))
  s.over = joined(is_repeated and s.over or '', taken)
  s.gen = next_generation(account, stamp)
  s.node, s.conn, s.left = seat.node, seat.conn, false
  s.kept = math.max(s.exp, now + 2 * LEASE_MS)
  account.gen = s.gen
  if #losers > 0 and FLAP_DISPLACEMENTS_MAX > 0 then
    account.flaps = recent_flaps(account, now)
    account.flaps[#account.flaps + 1] = text(now)
  end

  -- A call that was given up may run after the one that repeated it.
  local call = seat.call
  if own and is_seat(own, seat.node, seat.conn) then call = math.max(call, own.call) end

  write_session(base, s, is_fresh)
  write_account(base, account, now)
  write_seat(base, { sid = s.sid, gen = s.gen, login = s.login, ends = now + FIRST_LEASE_MS,
    proven = false, call = call, node = seat.node, conn = seat.conn }, now)
  seats[s.sid] = nil
  local online = count_seated(seats, now) + 1 - #losers
  local lapsed = drop_lapsed(base, seats, now, s.sid)
  remove_losers(base, losers, now)
  rank_session(base, s.sid, s.gen, now)
  return claimed(account, s, online, lapsed, is_alias)
end
