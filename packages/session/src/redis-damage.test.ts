/**
 * Goal: whatever somebody has done to a key of Redis, the login that it was about is refused or
 * mended: no script fails, nobody is let in as somebody else, and nobody is locked out for longer
 * than a lease. How: accounts in the usual states; of each one key is damaged, then every call is
 * made in a random order, and in the end its owner logs in. FUZZ_SEED and FUZZ_RUNS play others.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Server, startRedis } from "@holdfast/servers";
import fc from "fast-check";
import { type Damage, damages, damaging } from "../test/damage.ts";
import { type Client, createWorld, identity, isClaim, letIn, present } from "./contract-world.ts";
import { hashOf, parseToken, tagOf } from "./identifiers.ts";
import { connectRedis, type RedisConnection } from "./redis.ts";
import { createRedisWorld, toScript } from "./redis-world.ts";
import type { Claim, Presented, Refusal, Revocation } from "./session.ts";

const seed = Number(process.env["FUZZ_SEED"] ?? 20_221_101);
const runs = Number(process.env["FUZZ_RUNS"] ?? 500);
const HOUR_MS = 3_600_000; // by which the time of the tests is ahead
const atOnce = 25;
const CLOCK_SLACK_MS = 60_000; // a lease that ends later than any could is damaged

process.stderr.write(`Damages are drawn with FUZZ_SEED=${seed}\n`);

let server: Server;
let redis: RedisConnection;

beforeAll(async () => {
  server = await startRedis();
  redis = await connectRedis({ url: server.url });
});
afterAll(async () => {
  await redis.close();
  await server.stop();
});

const keyKinds = ["account", "seats", "sessions", "session", "away", "over", "token", "used"];

interface Case {
  readonly account: string;
  readonly damages: readonly { readonly kind: string; readonly damage: Damage }[];
  readonly order: readonly number[];
}

interface Plot {
  readonly keys: Readonly<Record<string, string>>;
  readonly clients: readonly Client[];
  readonly token: string;
  readonly used: { readonly token: string; readonly presented: Presented };
}

/** As many accounts as there are cases, side by side. */
function open() {
  const faults: string[] = [];
  const made = createRedisWorld(redis, { theftEnds: true }, (stage, error) =>
    faults.push(`${stage}: ${error instanceof Error ? error.message : error}`),
  );
  const world = createWorld(made);
  const { registry, prefix } = made;
  return { ...made, world, faults, plot, calls };

  async function plot(account: string): Promise<Plot> {
    const rules = { seatsMax: 3 };
    const [a, b, c] = [
      await world.login(account, rules),
      await world.login(account, rules),
      await world.login(account, rules),
    ];
    await world.prove(a);
    const again = await world.resume(a.claim.sessionId);
    await registry.leave(b.holding);
    await registry.end({ session: c.claim.session }, "over");
    const token = await world.issue(account, rules);
    const usedToken = await world.issue(account, rules);
    const presented = present(usedToken);
    const d = letIn(await registry.login(usedToken, presented), presented);
    const base = `${prefix}:{${tagOf(account)}}`;
    const sessionOf = ({ claim }: Client) => `${base}:session:${claim.session.sid}`;
    const tokenOf = (one: string) => `${base}:token:${hashOf(parseToken(one)!.secret)}`; // made here
    const keys = {
      ...{ account: `${base}:account`, seats: `${base}:seats`, sessions: `${base}:sessions` },
      ...{ session: sessionOf(again), away: sessionOf(b), over: sessionOf(c) },
      ...{ token: tokenOf(token), used: tokenOf(usedToken) },
    };
    const used = { token: usedToken, presented };
    return { keys, clients: [again, b, c, d], token, used };
  }

  /** All that nodes and backends ask. */
  function calls(account: string, { clients, token, used }: Plot): (() => Promise<unknown>)[] {
    const [a, b, c, d] = clients as [Client, Client, Client, Client]; // as made above
    const tag = tagOf(account);
    return [
      () => registry.renew(clients.map(({ holding }) => holding)),
      () => registry.renew([{ ...d.holding, proven: true }]),
      () => registry.resume(a.claim.sessionId, present(a.claim.sessionId)),
      () => registry.resume(b.claim.sessionId, present(b.claim.sessionId)),
      () => registry.resume(c.claim.sessionId, present(c.claim.sessionId)),
      () => registry.login(token, present(token)),
      () => registry.login(used.token, used.presented),
      () => registry.login(used.token, present(used.token)),
      () => registry.seats(account),
      () => registry.leave(d.holding),
      () => registry.reap(tag, "node-1"),
      () => registry.issue(identity(account), 1000),
      () => registry.end({ session: a.claim.session }, "over"),
    ];
  }
}

async function played({ account, damages, order }: Case, lab: ReturnType<typeof open>) {
  const plot = await lab.plot(account);
  for (const { kind, damage } of damages) {
    const { what, at, value } = damage;
    await redis.run(damaging, [plot.keys[kind]!], [what, String(at), value]); // one of keyKinds
  }
  const calls = lab.calls(account, plot);
  for (const index of order) await soundly(account, calls[index % calls.length]!); // in bounds
}

/** An answer that can be told to a client, of this account and no other. */
async function soundly(account: string, call: () => Promise<unknown>): Promise<void> {
  const answer = (await call()) as Claim | Refusal | Revocation | object; // of many kinds
  if (typeof answer !== "object" || !("session" in answer)) return;
  const { session, online, displaced, takenOver, lapsed } = answer as Claim;
  for (const { generation } of [...displaced, ...takenOver, ...lapsed]) {
    expect(generation).toBeLessThan(Number.MAX_SAFE_INTEGER);
  }
  expect(session.account).toBe(account);
  expect(session.seatsMax).toBeWithin(1, 1001);
  expect(online).toBeWithin(1, 1001);
}

describe("a damaged key", () => {
  test(`costs its login at most a lease, ${runs} accounts`, async () => {
    const lab = open();
    const cases = fc.sample(casesAt(lab.now()), { seed, numRuns: runs });
    const broken: string[] = [];
    const note = (one: Case) => (error: unknown) => {
      broken.push(`${JSON.stringify(one).slice(0, 400)}\n${error}`);
    };

    for (let at = 0; at < cases.length; at += atOnce) {
      const some = cases
        .slice(at, at + atOnce)
        .map((one, n) => ({ ...one, account: `a-${at + n}` }));
      await Promise.all(some.map((one) => played(one, lab).catch(note(one))));
      lab.advance(lab.settings.leaseMs + CLOCK_SLACK_MS);
      await Promise.all(some.map((one) => isLetIn(one.account, lab).catch(note(one))));
    }

    // What is of another account is said, and is no failure of a script.
    expect(lab.faults.filter((fault) => !fault.includes("of another account"))).toEqual([]);
    expect(broken.slice(0, 5)).toEqual([]);
  }, 120_000);
});

describe("one damaged field", () => {
  const future = String(Date.now() + 400 * 86_400_000);
  const soon = String(Date.now() + HOUR_MS + 57_000); // in a minute, by the time of the tests
  test.each([
    ["account", "flaps", Array(8).fill(future).join(" ")],
    ["account", "flaps", Array(8).fill(soon).join(" ")],
    ["account", "limit", "8999999999999999"],
    ["token", "limit", "8999999999999999"],
    ["token", "account", "somebody else"],
    ["session", "account", "somebody else"],
    ["away", "account", "somebody else"],
    ["used", "outcome", "displace"],
    ["seats", "", `${future}:1:1:1:1:node-1:c1`],
    ["seats", "", `${Date.now() + HOUR_MS + 9_000}:${"9".repeat(20)}:1:1:1:node-1:c1`],
  ] as const)("of a %s key, %p, harms nobody", async (kind, field, value) => {
    const lab = open();
    const plot = await lab.plot("anna");
    await redis.run(putting, [plot.keys[kind]!], [field, value]);

    for (const call of lab.calls("anna", plot)) await soundly("anna", call);

    expect(lab.faults.filter((fault) => !fault.includes("of another account"))).toEqual([]);
    lab.advance(lab.settings.leaseMs + CLOCK_SLACK_MS);
    await isLetIn("anna", lab);
  });
});

describe("the mark of a used token", () => {
  test.each(["node", "conn", "sid", "outcome"])("still marks it without its %p", async (field) => {
    const { registry, plot } = open();
    const { keys, used } = await plot("anna");
    await redis.run(dropping, [keys["used"]!], [field]);

    const again = await registry.login(used.token, present(used.token));

    expect(again).toBe("replayed");
  });
});

describe("a session that says it is newer than any could be", () => {
  test("makes room for a new login", async () => {
    const { world, now, plot } = open();
    const { keys, clients } = await plot("anna");
    await redis.run(putting, [keys["session"]!], ["login", `${now() + 86_400_000}000`]);
    await world.resume(clients[0]?.claim.sessionId ?? "");

    const fresh = await world.login("anna", { seatsMax: 1 });

    expect(fresh.claim.online).toBe(1);
    expect(fresh.claim.displaced.length).toBe(2);
  });
});

describe("a lease that ends later than any could", () => {
  const late = CLOCK_SLACK_MS - 10_000; // within what two clocks may differ by

  test("ends a lease after somebody was refused for it", async () => {
    const { world, now, advance, settings, plot } = open();
    const { keys } = await plot("anna");
    const rules = { seatsMax: 2, policy: "reject" } as const;
    await redis.run(ending, [keys["seats"]!], [String(now() + settings.leaseMs + late)]);

    const refused = await world.tryLogin("anna", rules);
    advance(settings.leaseMs + 1);

    expect(refused).toBe("limit");
    expect((await world.login("anna", rules)).claim.online).toBe(1);
  });

  test("is mended by the renewal of its seat", async () => {
    const { registry, now, settings, plot } = open();
    const { keys, clients } = await plot("anna");
    const held = clients.slice(-1).map(({ holding }) => holding);
    const before = await registry.seats("anna");
    const farMs = now() + settings.leaseMs + 10 * CLOCK_SLACK_MS;
    await redis.run(ending, [keys["seats"]!], [String(farMs)]);

    const verdicts = await registry.renew(held);

    expect(before.length).toBe(2);
    expect(verdicts).toEqual(["held"]);
    expect((await registry.seats("anna")).length).toBe(1);
  });
});

/** KEYS: one hash. ARGV: a field. */
const dropping = toScript("return redis.call('HDEL', KEYS[1], ARGV[1])");

/** KEYS: seats. ARGV: when the lease of each shall end. */
const ending = toScript(`
for _, sid in ipairs(redis.call('HKEYS', KEYS[1])) do
  local seat = string.gsub(redis.call('HGET', KEYS[1], sid), '^%d+', ARGV[1])
  redis.call('HSET', KEYS[1], sid, seat)
end`);

/** KEYS: one hash. ARGV: a field, '' for each, and what it shall hold. */
const putting = toScript(`
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if ARGV[1] == '' then redis.call('HSET', KEYS[1], field, ARGV[2]) end
end
if ARGV[1] ~= '' then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end`);

function casesAt(nowMs: number): fc.Arbitrary<Case> {
  return fc.record({
    account: fc.constant(""),
    damages: fc.array(fc.record({ kind: fc.constantFrom(...keyKinds), damage: damages(nowMs) }), {
      minLength: 1,
      maxLength: 3,
    }),
    order: fc.array(fc.nat(12), { minLength: 4, maxLength: 8 }),
  });
}

/** Its owner logs in, though somebody has to go for it, and is held; and once more, if not. */
async function isLetIn(account: string, { world }: ReturnType<typeof open>): Promise<void> {
  const first = await world.login(account, { seatsMax: 1, policy: "reject" });
  expect(await world.verdict(first)).toBe("held");
  const second = await world.login(account, { seatsMax: 1 });
  expect(second.claim.displaced.length).toBe(1);
  expect(await world.verdict(second)).toBe("held");
  expect(await world.verdict(first)).toBe("displaced");
  const resumed = await world.resume(second.claim.sessionId);
  expect(resumed.claim.online).toBe(1);
  expect(isClaim(resumed.claim)).toBe(true);
}
