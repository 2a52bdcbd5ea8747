-- The ledgers of the nodes; stands behind clock.lua. `hf:nodes` says when each node last spoke,
-- `hf:pulses` when its heart last beat, `hf:ledger:NODE` which accounts have seats on it. In a
-- Cluster they have slots of their own, so each call touches one key. ARGV: what to do, and what
-- that needs.
local key, what = KEYS[1], ARGV[1]
local kind = redis.call('TYPE', key).ok
local is_of_nodes = what == 'beat' or what == 'forget' or what == 'claim'
if kind ~= 'none' and kind ~= (is_of_nodes and 'zset' or 'set') then redis.call('DEL', key) end

-- node, how long others must be silent to be told, how many, how long the key is kept; all in ms.
if what == 'beat' then
  local now = clock()
  redis.call('ZADD', key, now, ARGV[2])
  -- Nobody has spoken tomorrow: that was damaged, and would live for ever.
  redis.call('ZREMRANGEBYSCORE', key, '(' .. (now + 60000), '+inf')
  redis.call('PEXPIRE', key, ARGV[5])
  local silent = {}
  local limits = { '-inf', now - tonumber(ARGV[3]), 'LIMIT', 0, ARGV[4] }
  for _, node in ipairs(redis.call('ZRANGEBYSCORE', key, unpack(limits))) do
    if string.find(node, '^[%w_-]+$') then
      silent[#silent + 1] = node
    else
      redis.call('ZREM', key, node) -- damaged: no node is called that
    end
  end
  -- How many others speak, and who of them did last.
  local heard = tonumber(ARGV[3]) > 0 and '(' .. limits[2] or '+inf'
  local others, witness = redis.call('ZCOUNT', key, heard, '+inf'), ''
  if redis.call('ZSCORE', key, ARGV[2]) then others = others - 1 end
  for _, node in ipairs(redis.call('ZREVRANGE', key, 0, 1)) do
    if node ~= ARGV[2] and witness == '' and others > 0 then witness = node end
  end
  return { now, table.concat(silent, ','), others, witness }
end

-- node, how long it must have been silent. Strikes it off, and answers the time to the one caller
-- who did; 0 to the others, and while it speaks.
if what == 'claim' then
  local now = clock()
  local at = redis.call('ZSCORE', key, ARGV[2])
  if not at or tonumber(at) > now - tonumber(ARGV[3]) then return 0 end
  redis.call('ZREM', key, ARGV[2])
  return now
end

-- node, how long it must have been silent. Answers 1 when it is not known any more.
if what == 'forget' then
  local at = tonumber(redis.call('ZSCORE', key, ARGV[2]) or 0)
  if at > clock() - tonumber(ARGV[3]) then return 0 end
  redis.call('ZREM', key, ARGV[2])
  return 1
end

-- how long the key is kept, 1 if what stands there does not count, how many to add, these, how
-- many to remove, these. A caller sends at most a thousand at once.
if what == 'note' then
  if ARGV[3] == '1' then redis.call('DEL', key) end
  local added = tonumber(ARGV[4])
  local removed = tonumber(ARGV[5 + added])
  if added > 0 then redis.call('SADD', key, unpack(ARGV, 5, 4 + added)) end
  if removed > 0 then redis.call('SREM', key, unpack(ARGV, 6 + added, 5 + added + removed)) end
  redis.call('PEXPIRE', key, ARGV[2])
  return redis.call('SCARD', key)
end

if what == 'draw' then return redis.call('SRANDMEMBER', key, ARGV[2]) end

if what == 'drop' then return redis.call('DEL', key) end
return redis.error_reply('ERR unknown word ' .. what)
