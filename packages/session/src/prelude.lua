-- What the scripts share. It stands in front of each of them, behind the settings (SESSION_TTL_MS
-- and the others) and clock.lua. Rules:
--
-- * One account, one slot: every key is made from KEYS[1], `hf:{TAG}:account`.
-- * Decide first, write afterwards, and the first write is an HSET: when Redis may not write
--   (out of memory, no replica, read-only) that first write fails and nothing has happened.
-- * Damaged data must not lock an account out: what cannot be read counts as missing.
-- * `kept` in a record is the time its key expires. The scripts ask `kept` and never rely on the
--   expiry itself, so an answer does not depend on when Redis gets round to deleting.
-- * A number inside a text goes through `text`: Lua's own conversion has 14 digits, too few. Redis
--   itself turns an argument into text with all of its digits.

local TOMBSTONE_RANK = 1e16 -- tombstones rank before all living sessions, the oldest first
local ACCOUNT_KEPT_MS = math.max(SESSION_TTL_MS, TOKEN_TTL_MS_MAX) + 2 * LEASE_MS

local function base_of(account_key)
  return string.sub(account_key, 1, -8) -- without `account`
end

local function text(number)
  return string.format('%.0f', number)
end

local function integer(value)
  local number = tonumber(value)
  if number and number >= 0 and number < 9e15 then return math.floor(number) end
  return 0
end

-- Any read: nil for a key of the wrong type, which is removed. 
local function read(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if type(reply) == 'table' and reply.err then
    if not string.find(reply.err, 'WRONGTYPE', 1, true) then error(reply.err, 0) end
    redis.call('DEL', key)
    return nil
  end
  return reply
end

local function read_fields(key)
  local fields, flat = {}, read('HGETALL', key) or {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end

local function epoch()
  return string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') or ''
end

-- Account ---------------------------------------------------------------------------------------

local function limit_of(value)
  return math.min(math.max(1, integer(value)), SEATS_MAX)
end

local function read_account(base)
  local fields = read('HMGET', base .. 'account', 'gen', 'rev', 'limit', 'policy', 'rules', 'flaps')
    or {}
  local flaps = {}
  for at in string.gmatch(fields[6] or '', '%d+') do flaps[#flaps + 1] = at end
  return {
    gen = integer(fields[1]),
    rev = integer(fields[2]),
    limit = limit_of(fields[3]),
    policy = fields[4] == 'reject' and 'reject' or 'displace',
    rules = integer(fields[5]),
    flaps = flaps,
  }
end

local function write_account(base, account, now)
  local key = base .. 'account'
  redis.call('HSET', key, 'gen', account.gen, 'rev', account.rev,
    'limit', account.limit, 'policy', account.policy, 'rules', account.rules,
    'flaps', table.concat(account.flaps, ' '))
  redis.call('PEXPIREAT', key, now + ACCOUNT_KEPT_MS)
end

-- A promoted replica may have lost the last writes, and its clock may be behind.
local function next_generation(account, stamp)
  return math.max(account.gen + 1, stamp)
end

-- Seats -----------------------------------------------------------------------------------------

local SEAT = '^(%d+):(%d+):(%d+):([01]):(%d+):([%w_-]+):([%w_-]+)$'
local CLOCK_SLACK_MS = 60000 -- a lease that ends later than any could was damaged

local function parse_seat(sid, value)
  local ends, gen, login, proven, call, node, conn = string.match(value, SEAT)
  if not ends then return nil end
  if math.max(tonumber(ends), tonumber(gen), tonumber(login)) >= 9e15 then return nil end
  return { sid = sid, gen = tonumber(gen), login = tonumber(login), ends = tonumber(ends),
    proven = proven == '1', call = tonumber(call), node = node, conn = conn }
end

-- The seats by sid as they are stored, lapsed ones too: they stay until a claim drops and reports
-- them. An account may have a thousand, so each is taken apart only where it matters.
local function read_seats(base)
  local seats, flat = {}, read('HGETALL', base .. 'seats') or {}
  for i = 1, #flat, 2 do seats[flat[i]] = flat[i + 1] end
  return seats
end

local function seat_of(seats, sid)
  return seats[sid] and parse_seat(sid, seats[sid]) or nil
end

local function is_seated(value, now)
  local ends = tonumber(string.match(value, '^(%d+):') or 0)
  return ends > now and ends <= now + LEASE_MS + CLOCK_SLACK_MS
end

local function count_seated(seats, now, except)
  local count = 0
  for sid, value in pairs(seats) do
    if sid ~= except and is_seated(value, now) then count = count + 1 end
  end
  return count
end

local function write_seat(base, seat, now)
  local key = base .. 'seats'
  redis.call('HSET', key, seat.sid, table.concat({ text(seat.ends), text(seat.gen),
    text(seat.login), seat.proven and '1' or '0', text(seat.call), seat.node, seat.conn }, ':'))
  redis.call('PEXPIREAT', key, now + SESSION_TTL_MS + LEASE_MS)
end

local function is_seat(of, node, conn)
  return of.node == node and of.conn == conn
end

local function by(field)
  return function(a, b)
    if a[field] ~= b[field] then return a[field] < b[field] end
    return a.sid < b.sid
  end
end

-- Seats whose lease still runs, without `except`, in the order of `field`.
local function seated(seats, now, except, field)
  local list = {}
  for sid, value in pairs(seats) do
    if sid ~= except and is_seated(value, now) then list[#list + 1] = parse_seat(sid, value) end
  end
  table.sort(list, by(field))
  return list
end

-- As told to the caller: `sid:generation:node:connection` joined by commas.
local function told(list)
  local parts = {}
  for i, seat in ipairs(list) do
    parts[i] = table.concat({ seat.sid, text(seat.gen), seat.node, seat.conn }, ':')
  end
  return table.concat(parts, ',')
end

local function joined(one, other)
  if one == '' or other == '' then return one .. other end
  return one .. ',' .. other
end

-- Sessions --------------------------------------------------------------------------------------

local STATES = { live = true, displaced = true, ended = true }

-- nil when there is none, when its time is over, or when it cannot be read.
local function read_session(base, sid, now)
  local s = read_fields(base .. 'session:' .. sid)
  if not STATES[s.state or ''] or not s.cur or not s.account then return nil end
  s.sid, s.kept = sid, integer(s.kept)
  if s.kept <= now then return nil end
  s.gen, s.login, s.exp = integer(s.gen), integer(s.login), integer(s.exp)
  s.prevexp, s.proven = integer(s.prevexp), integer(s.proven)
  s.prev, s.left = s.prev or '', s.left == '1'
  s.node, s.conn = s.node or '', s.conn or ''
  s.lost, s.over, s.older = s.lost or '', s.over or '', s.older or ''
  s.beside, s.asked = s.beside or '', integer(s.asked)
  s.meta, s.client = s.meta or '{}', s.client or '{}'
  return s
end

-- What is left out of the short form is what a fresh session has there anyway.
local function write_session(base, s, is_fresh)
  local key = base .. 'session:' .. s.sid
  redis.call('HSET', key, 'state', s.state, 'account', s.account, 'meta', s.meta,
    'client', s.client, 'cur', s.cur, 'gen', s.gen, 'login', s.login, 'exp', s.exp, 'kept', s.kept,
    'node', s.node, 'conn', s.conn)
  if not is_fresh or s.lost ~= '' then
    redis.call('HSET', key, 'reason', s.reason or '', 'prev', s.prev, 'prevexp', s.prevexp,
      'proven', s.proven, 'left', s.left and '1' or '0', 'lost', s.lost, 'over', s.over,
      'older', s.older, 'beside', s.beside, 'asked', s.asked)
  end
  redis.call('PEXPIREAT', key, s.kept)
end

-- Of a seat that is held with this generation; nil: its session goes on. A store that has forgotten
-- the last claim of a session may have buried an earlier one, which says nothing of this seat.
local function end_of(s, gen)
  if s.state == 'live' or (s.state == 'displaced' and s.gen < gen) then return nil end
  return s.state
end

-- The account's sessions, the first to go first.
local function rank_session(base, sid, rank, now)
  local key = base .. 'sessions'
  if type(redis.pcall('ZADD', key, rank, sid)) ~= 'number' then
    redis.call('DEL', key) -- of a wrong type
    redis.call('ZADD', key, rank, sid)
  end
  redis.call('PEXPIREAT', key, now + ACCOUNT_KEPT_MS)
end

-- The session is over. Its record stays: only a positive record closes a connection, and the node
-- that has it must have the time to ask, even if the session's own time is over already.
local function bury(base, sid, gen, exp, state, reason, now)
  local key = base .. 'session:' .. sid
  local kept = math.max(exp, now + 2 * LEASE_MS)
  redis.call('HSET', key, 'state', state, 'reason', reason, 'left', '1', 'kept', kept)
  redis.call('PEXPIREAT', key, kept)
  redis.call('HDEL', base .. 'seats', sid)
  rank_session(base, sid, gen - TOMBSTONE_RANK, now)
end

-- Lost to another session of the account, these are over. [D35]
local function remove_losers(base, losers, now)
  for _, loser in ipairs(losers) do
    local s = read_session(base, loser.sid, now)
    if s then bury(base, s.sid, s.gen, s.exp, 'displaced', '', now) end
    redis.call('HDEL', base .. 'seats', loser.sid)
  end
end

-- Beyond the cap the oldest go, tombstones first, a seated one never.
local function cap_sessions(base, limit)
  local key = base .. 'sessions'
  local surplus = redis.call('ZCARD', key) - math.max(SESSIONS_PER_ACCOUNT_MAX, limit)
  if surplus <= 0 then return end
  for _, sid in ipairs(redis.call('ZRANGE', key, 0, -1)) do
    if surplus <= 0 then return end
    if redis.call('HEXISTS', base .. 'seats', sid) == 0 then
      redis.call('DEL', base .. 'session:' .. sid)
      redis.call('ZREM', key, sid)
      surplus = surplus - 1
    end
  end
end
