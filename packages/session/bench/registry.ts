/**
 * What a registry can do here: `bun packages/session/bench/registry.ts`. One process asks
 * one Redis over loopback (and the memory registry, as control); accounts are all different, limit
 * 1. "us" is the time of one call, "redis us" what Redis itself spent on it, by its own command
 * statistics. Every number is the median of the rounds; the spread is the best minus the worst.
 */
import { exchange, startRedis } from "@holdfast/servers";
import {
  createMemoryRegistry,
  defaultRegistrySettings,
  deriveCredential,
  type Holding,
  type SessionRegistry,
} from "../src/index.ts";
import { connectRedis, createRedisRegistry } from "../src/redis.ts";

const ROUNDS = 5;
const ACCOUNTS = Number(process.env["BENCH_ACCOUNTS"] ?? 5_000); // of one round
const IN_FLIGHT = 64;

const nodeKey = crypto.getRandomValues(new Uint8Array(32));
let connections = 0;

interface Work {
  readonly name: string;
  readonly count: number;
  readonly run: () => Promise<void>;
}

const server = await startRedis();
const redis = await connectRedis({ url: server.url });
/** A lease that a renewal just wrote is written again by the next. */
const settings = {
  ...defaultRegistrySettings,
  renewBelowMs: defaultRegistrySettings.leaseMs - 1,
};
await measure("Redis", createRedisRegistry({ redis }), redisMicroseconds, {
  writing: createRedisRegistry({ redis, settings }),
});
await measure("memory", createMemoryRegistry({ clock: Date }), async () => Number.NaN);
await redis.close();
await server.stop();

async function measure(
  name: string,
  registry: SessionRegistry,
  spentUs: () => Promise<number>,
  { writing = registry }: { readonly writing?: SessionRegistry } = {},
): Promise<void> {
  const rows = new Map<string, { perSecond: number; redisUs: number }[]>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const work of await prepare(registry, writing, round)) {
      const before = await spentUs();
      const startedMs = performance.now();
      await work.run();
      const seconds = (performance.now() - startedMs) / 1000;
      const redisUs = ((await spentUs()) - before) / work.count;
      const row = rows.get(work.name) ?? [];
      row.push({ perSecond: work.count / seconds, redisUs });
      rows.set(work.name, row);
    }
  }
  for (const [work, row] of rows) print(`${name} ${work}`, row);
}

/** The works of one round, in the order in which they must run. */
async function prepare(
  registry: SessionRegistry,
  writing: SessionRegistry,
  round: number,
): Promise<readonly Work[]> {
  const accounts = Array.from({ length: ACCOUNTS }, (_, index) => `bench-${round}-${index}`);
  const tokens: string[] = [];
  const holdings: Holding[] = [];
  const resumable: string[] = [];
  const issue = async (account: string) => {
    const identity = { account, seatsMax: 1, policy: "displace", metadata: {} } as const;
    tokens.push((await registry.issue(identity, 300_000)).token);
  };
  const login = async () => {
    const token = tokens.pop()!; // as many as accounts were issued
    const presented = present(token);
    const claim = await registry.login(token, presented);
    if (typeof claim === "string" || !("session" in claim)) throw new Error("Cannot log in");
    holdings.push({ session: claim.session, seat: presented.seat, proven: true });
    resumable.push(claim.sessionId);
  };
  const resume = async () => {
    const id = resumable.pop()!; // as many as logged in
    if (typeof (await registry.resume(id, present(id))) === "string") throw new Error("refused");
  };
  const single = accounts.slice(0, ACCOUNTS / 10);
  const many = accounts.slice(ACCOUNTS / 10);
  const times = (list: readonly string[]) => list.length;
  return [
    { name: "issue", count: ACCOUNTS, run: () => each(accounts, IN_FLIGHT, issue) },
    { name: "login, one in flight", count: times(single), run: () => each(single, 1, login) },
    { name: "login", count: times(many), run: () => each(many, IN_FLIGHT, login) },
    { name: "renew, first", count: ACCOUNTS, run: () => renew(registry, holdings) },
    { name: "renew, lease written", count: ACCOUNTS, run: () => renew(writing, holdings) },
    { name: "renew, nothing to write", count: ACCOUNTS, run: () => renew(registry, holdings) },
    { name: "resume", count: ACCOUNTS, run: () => each(accounts, IN_FLIGHT, resume) },
  ];

  async function renew(by: SessionRegistry, list: readonly Holding[]): Promise<void> {
    const verdicts = await by.renew(list);
    if (verdicts.some((verdict) => verdict !== "held")) throw new Error("A seat was not held");
  }
}

function present(credential: string) {
  const connection = `c${++connections}`;
  const seat = { node: "bench", connection };
  return { seat, ...deriveCredential(nodeKey, connection, credential), clientMetadata: {} };
}

async function each(
  items: readonly string[],
  inFlight: number,
  work: (item: string) => Promise<void>,
): Promise<void> {
  let next = 0;
  const workers = Array.from({ length: inFlight }, async () => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await work(item);
  });
  await Promise.all(workers);
}

/** All that Redis has spent inside EVALSHA and EVAL so far; what scripts call is part of it. */
async function redisMicroseconds(): Promise<number> {
  const { host, port } = server;
  const answer = await exchange({
    ...{ host, port, send: "INFO commandstats\r\n" },
    isComplete: (text) => text.endsWith("\r\n\r\n") || /\r\n$/.test(text.slice(-2)),
  });
  const spent = answer.matchAll(/cmdstat_eval(?:sha)?:calls=\d+,usec=(\d+)/g);
  return [...spent].reduce((sum, [, us]) => sum + Number(us), 0);
}

function print(name: string, row: readonly { perSecond: number; redisUs: number }[]): void {
  const sorted = row.map(({ perSecond }) => perSecond).toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)]!; // ROUNDS are more than none
  const redisUs = row.map((one) => one.redisUs).toSorted((a, b) => a - b)[
    Math.floor(row.length / 2)
  ]!;
  const spread = Math.round(sorted.at(-1)! - sorted[0]!); // likewise
  const inRedis = Number.isNaN(redisUs) ? "" : `${redisUs.toFixed(1)} redis us`;
  process.stdout.write(
    `${name.padEnd(32)} ${String(Math.round(median)).padStart(8)}/s ±${String(spread).padEnd(7)} ` +
      `${(1e6 / median).toFixed(1).padStart(6)} us  ${inRedis}\n`,
  );
}
