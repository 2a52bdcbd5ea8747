/**
 * What may have become of a key that somebody else wrote to, or that was damaged: of a wrong type,
 * with fields missing, strange, swapped, cut, or one bit wrong. Drawn from a seed.
 */
import fc from "fast-check";
import { toScript } from "../src/redis-world.ts";
import type { Script } from "../src/scripts.ts";

/** Words that the script below knows, and what they need. */
export interface Damage {
  readonly what: (typeof kinds)[number];
  readonly at: number; // which field or member, and which of its letters
  readonly value: string;
}

const kinds = [
  ...["type", "delete", "drop", "set", "set", "set", "add", "swap", "cut", "flip", "flip"],
] as const;

const DAY_MS = 86_400_000;

/** `nowMs`: by the clock of the store. */
export function damages(nowMs: number): fc.Arbitrary<Damage> {
  const moments = [-DAY_MS, -60_000, -1, 0, 1, 60_000, DAY_MS, 400 * DAY_MS].map(
    (ms) => nowMs + ms,
  );
  const numbers = ["", "0", "-1", "1.5", "nan", "inf", "-inf", "1e308", "0x7f", "9".repeat(40)];
  const large = ["9007199254740993", "8999999999999999", "2147483648", "1001"];
  const words = ["live", "displaced", "ended", "claimed", "reject", "limit", "flapping", "1", "\0"];
  const texts = ["{}", "[", "null", "a:b:c", ",", ":::::", "%d+", "ä", "x".repeat(70_000)];
  const many = moments.map((ms) => `${ms} `.repeat(8).trim());
  const seats = moments.map((ms) => `${ms}:${ms}000:1:0:1:node-1:c9`);
  const value = fc.oneof(
    fc.constantFrom(...numbers, ...large, ...words, ...texts),
    fc.constantFrom(...moments.map(String), ...moments.map((ms) => `${ms}000`), ...many),
    fc.constantFrom(...seats),
    fc.string({ unit: "binary", maxLength: 30 }),
  );
  return fc.record({ what: fc.constantFrom(...kinds), at: fc.nat(999), value });
}

/** So many of them, the same for the same seed. */
export function drawDamages(of: {
  readonly nowMs: number;
  readonly seed: number;
  readonly count: number;
}): readonly Damage[] {
  return fc.sample(damages(of.nowMs), { seed: of.seed, numRuns: of.count });
}

/** KEYS: one, which keeps the time when it expires. ARGV: what, at, value. */
export const damaging: Script = toScript(`
local function damage()
local key, what, at, value = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3]
local kind = redis.call('TYPE', key).ok
if what == 'type' then
  local types = { 'string', 'list', 'set', 'zset', 'hash', 'stream' }
  redis.call('DEL', key)
  local to = types[at % #types + 1]
  if to == 'string' then redis.call('SET', key, value) end
  if to == 'list' then redis.call('RPUSH', key, value) end
  if to == 'set' then redis.call('SADD', key, value) end
  if to == 'zset' then redis.call('ZADD', key, at, value) end
  if to == 'hash' then redis.call('HSET', key, value, value) end
  if to == 'stream' then redis.call('XADD', key, '*', 'x', value) end
  return 1
end
if what == 'delete' then return redis.call('DEL', key) end
if kind == 'zset' or kind == 'set' then
  local members = kind == 'zset' and redis.call('ZRANGE', key, 0, -1) or {}
  local member = members[at % math.max(1, #members) + 1]
  if kind == 'set' then return redis.call('SADD', key, value) end
  if what == 'drop' and member then return redis.call('ZREM', key, member) end
  if what == 'set' and member then
    return redis.call('ZADD', key, at % 2 == 0 and '+inf' or '-1e300', member)
  end
  return redis.call('ZADD', key, at, value)
end
if kind == 'string' then return redis.call('SET', key, value) end
if kind ~= 'hash' then return 0 end
local fields = redis.call('HKEYS', key)
table.sort(fields)
local field = fields[at % #fields + 1]
local old = redis.call('HGET', key, field)
if what == 'drop' then return redis.call('HDEL', key, field) end
if what == 'set' then return redis.call('HSET', key, field, value) end
if what == 'add' then return redis.call('HSET', key, value, old) end
if what == 'cut' then return redis.call('HSET', key, field, string.sub(old, 1, math.floor(#old / 2))) end
if what == 'swap' then
  local other = fields[(at + 1) % #fields + 1]
  redis.call('HSET', key, field, redis.call('HGET', key, other), other, old)
  return 1
end
if old == '' then return 0 end
local letter = at % #old + 1
local flipped = string.char(bit.bxor(string.byte(old, letter), 2 ^ (at % 8)))
return redis.call('HSET', key, field, string.sub(old, 1, letter - 1) .. flipped .. string.sub(old, letter + 1))
end
local expires = redis.call('PEXPIRETIME', KEYS[1])
local done = damage()
if expires > 0 then redis.call('PEXPIREAT', KEYS[1], expires) end
return done
`);
