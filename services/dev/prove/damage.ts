/**
 * Damage to keys of Redis, drawn from a seed: to those of an account, which its credentials name,
 * and to those that all nodes share. Shared ones are damaged again and again beside whatever runs.
 */
import { hashOf, parseSessionId, parseToken, tagOf } from "@holdfast/session";
import { type Damage, damaging, drawDamages } from "@holdfast/session/damage";
import { createRedisTurn, type RedisConnection } from "@holdfast/session/redis";
import { patiently } from "./ground.ts";

/** Of an account: what each is of is said by its credentials, below. */
export const accountKinds = [
  ...["account", "seats", "sessions", "session", "away", "over", "token", "used"],
] as const;

export type AccountKind = (typeof accountKinds)[number];

/** What nodes share; a node's ledger comes in turn with those of the others. */
const sharedKinds = ["nodes", "pulses", "ledger", "drain-turn"] as const;

export interface Credentials {
  readonly account: string;
  /** Of the connection that stands. */
  readonly sessionId: string;
  /** The one that opened it. */
  readonly used: string;
  /** Of a session before that: left, or displaced. Empty: there is none. */
  readonly earlier: string;
  /** Not used yet. */
  readonly token: string;
}

export function keyOf(kind: AccountKind, of: Credentials): string {
  const base = `hf:{${tagOf(of.account)}}`;
  switch (kind) {
    case "account":
    case "seats":
    case "sessions":
      return `${base}:${kind}`;
    case "session":
      return `${base}:session:${sidOf(of.sessionId)}`;
    case "away":
    case "over":
      return `${base}:session:${sidOf(of.earlier)}`;
    case "token":
      return `${base}:token:${hashOf(parseToken(of.token)!.secret)}`; // the registry issued it
    case "used":
      return `${base}:token:${hashOf(parseToken(of.used)!.secret)}`; // as above
    default: {
      const never: never = kind;
      throw new Error(`There is no key ${never}`);
    }
  }
}

function sidOf(sessionId: string): string {
  const parts = parseSessionId(sessionId);
  if (parts === null) throw new Error(`Cannot read the session id ${sessionId}`);
  return parts.sid;
}

export async function damageKey(
  redis: RedisConnection,
  key: string,
  { what, at, value }: Damage,
): Promise<void> {
  await patiently(() => redis.run(damaging, [key], [what, String(at), value]));
}

/** A record that says it is of another account than the one whose key it stands in. */
export async function nameAnother(redis: RedisConnection, key: string): Promise<void> {
  await patiently(() => redis.run(naming, [key], []));
}

const naming = toScript("return redis.call('HSET', KEYS[1], 'account', 'somebody else')");
const listing = toScript("return redis.call('KEYS', 'hf:ledger:*')");
const reading = toScript(`
local tags = redis.pcall('SMEMBERS', KEYS[1])
return tags.err and { 'of a wrong type' } or tags`);

export interface Vandal {
  /** Each kind of key has been damaged so often. Rejects where damage could not be done. */
  readonly done: Promise<void>;
  /** How often a turn to drain was not given although nobody had it. */
  readonly refused: () => number;
}

/** Begins at once, and damages one key at a time. */
export function damageShared(of: {
  readonly redis: RedisConnection;
  readonly seed: number;
  readonly times: number;
  readonly pauseMs: number;
}): Vandal {
  const { redis, seed, times, pauseMs } = of;
  const turn = createRedisTurn({ redis });
  let refused = 0;
  return { done: damageAll(), refused: () => refused };

  async function damageAll(): Promise<void> {
    const ledgers = await ledgerKeys(redis);
    const damages = drawDamages({ nowMs: Date.now(), seed, count: times * sharedKinds.length });
    for (const [index, damage] of damages.entries()) {
      const kind = sharedKinds[index % sharedKinds.length];
      const ledger = ledgers[Math.floor(index / sharedKinds.length) % ledgers.length] ?? "";
      await damageKey(redis, kind === "ledger" ? ledger : `hf:${kind}`, damage);
      if (kind === "drain-turn" && !(await turn.wait("prove", 60_000, 2_000))) refused++;
      if (kind === "drain-turn") await turn.give("prove");
      await Bun.sleep(pauseMs);
    }
  }
}

/** By node: the tags of its ledger, sorted. */
export async function readLedgers(
  redis: RedisConnection,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const keys = await ledgerKeys(redis);
  const read = async (key: string) => {
    const tags = (await patiently(() => redis.run(reading, [key], []))) as unknown[]; // a list
    return [key.slice("hf:ledger:".length), tags.map(String).sort()] as const;
  };
  return new Map(await Promise.all(keys.map(read)));
}

async function ledgerKeys(redis: RedisConnection): Promise<readonly string[]> {
  const keys = (await patiently(() => redis.run(listing, [], []))) as unknown[]; // a list
  return keys.map(String);
}

function toScript(source: string) {
  const sha = new Bun.CryptoHasher("sha1").update(source).digest("hex");
  return { name: "prove", source, sha };
}
