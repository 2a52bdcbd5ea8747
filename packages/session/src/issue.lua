-- Writes a token, bound to this primary's epoch and to the account's revision.
-- ARGV: hash, account, limit, policy, metadata, ttl. Returns: expiry, seats of the account.
local hash, name, limit, policy, meta, ttl = unpack(ARGV)
local base = base_of(KEYS[1])
local now = clock()
local account = read_account(base)
local kept = now + integer(ttl)
local key = base .. 'token:' .. hash

redis.call('HSET', key, 'epoch', epoch(), 'rev', account.rev, 'account', name,
  'limit', limit, 'policy', policy, 'meta', meta, 'kept', kept)
redis.call('PEXPIREAT', key, kept)
return { kept, count_seated(read_seats(base), now) }
