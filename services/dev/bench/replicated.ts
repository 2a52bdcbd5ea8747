/**
 * What a confirmed write costs: `bun run bench replicated`. One process asks a Redis with one
 * replica over loopback, 64 scripts in flight, each with the writes of a login (three HSET on one
 * account); the three ways take turns in each round. "plain": as Holdfast does. "WAIT each": a
 * WAIT 1 behind each script, on the same connection. "WAIT batched": a connection for nothing else,
 * where all that came while the last WAIT was under way is written together, and one WAIT 1
 * follows. Told are the medians of the rounds, and for the speed best minus worst.
 */
import { exchange, startRedis } from "@holdfast/servers";
import { Redis } from "ioredis";

const ROUNDS = 5;
const WRITES = Number(process.env["BENCH_WRITES"] ?? 10_000);
const IN_FLIGHT = 64;
const SCRIPT = `
for i = 1, 3 do redis.call('HSET', KEYS[1] .. i, 'a', ARGV[1], 'b', string.rep('x', 200)) end
return 1`;

const primary = await startRedis();
const replica = await startRedis({ args: ["--replicaof", primary.host, String(primary.port)] });
await linked();
const connect = () => new Redis({ host: primary.host, port: primary.port, protocol: 2 });
const [one, other] = [connect(), connect()];

const ways = {
  plain: async (key: number) => void (await write(one, key)),
  "WAIT each, same connection": async (key: number) => {
    await Promise.all([write(one, key), one.wait(1, 800)]);
  },
  "WAIT batched, own connection": createBatches(other),
};
const rounds = new Map<string, Round[]>(Object.keys(ways).map((name) => [name, []]));
for (let round = 0; round <= ROUNDS; round++) {
  for (const [name, work] of Object.entries(ways)) {
    const measured = await measure(work);
    if (round > 0) rounds.get(name)?.push(measured); // the first is for warming up
  }
}
for (const [name, measured] of rounds) print(name, measured);
one.disconnect();
other.disconnect();
await Promise.all([primary.stop(), replica.stop()]);

function write(redis: Redis, key: number): Promise<unknown> {
  return redis.eval(SCRIPT, 1, `{${key}}`, key);
}

/** All that came while a WAIT was under way are written together, and waited for by the next. */
function createBatches(redis: Redis): (key: number) => Promise<void> {
  let gathered: { key: number; done: () => void; failed: (error: unknown) => void }[] = [];
  let isUnderWay = false;
  return (key) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    gathered.push({ key, done: resolve, failed: reject });
    if (!isUnderWay) void flush();
    return promise;
  };

  async function flush(): Promise<void> {
    isUnderWay = true;
    while (gathered.length > 0) {
      const batch = gathered;
      gathered = [];
      try {
        const writes = batch.map(({ key }) => write(redis, key));
        await Promise.all([...writes, redis.wait(1, 800)]);
        for (const { done } of batch) done();
      } catch (error) {
        for (const { failed } of batch) failed(error);
      }
    }
    isUnderWay = false;
  }
}

interface Round {
  readonly perSecond: number;
  readonly p50: number; // ms
  readonly p99: number;
}

async function measure(work: (key: number) => Promise<void>): Promise<Round> {
  const tookMs: number[] = [];
  let next = 0;
  const startedMs = performance.now();
  const workers = Array.from({ length: IN_FLIGHT }, async () => {
    while (next < WRITES) {
      const key = next++;
      const askedMs = performance.now();
      await work(key);
      tookMs.push(performance.now() - askedMs);
    }
  });
  await Promise.all(workers);
  const seconds = (performance.now() - startedMs) / 1000;
  tookMs.sort((a, b) => a - b);
  const at = (part: number) => tookMs[Math.floor(tookMs.length * part)] ?? 0;
  return { perSecond: WRITES / seconds, p50: at(0.5), p99: at(0.99) };
}

function print(name: string, measured: readonly Round[]): void {
  const middle = (field: keyof Round) =>
    measured.map((one) => one[field]).toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? 0;
  const speeds = measured.map(({ perSecond }) => perSecond);
  const spread = Math.round(Math.max(...speeds) - Math.min(...speeds));
  const speed = `${String(Math.round(middle("perSecond"))).padStart(8)}/s ±${spread}`;
  const times = `p50 ${middle("p50").toFixed(2)} ms, p99 ${middle("p99").toFixed(2)} ms`;
  process.stdout.write(`${name.padEnd(30)} ${speed.padEnd(18)} ${times}\n`);
}

async function linked(): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    const { host, port } = replica;
    const send = "INFO replication\r\n";
    const isComplete = (text: string) => text.endsWith("\r\n") && text.includes("master_replid2");
    const info = await exchange({ host, port, send, isComplete });
    if (info.includes("master_link_status:up")) return;
    await Bun.sleep(20);
  }
  throw new Error("Cannot link the replica");
}
