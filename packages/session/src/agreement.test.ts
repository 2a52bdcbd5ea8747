/**
 * Goal: the scripts and the memory registry are the same machine. How: both get the same random
 * calls at the same times, and every answer must be equal, to the last generation. There are two
 * stores on each side, and what one has handed out is also shown to the other: so a store meets
 * holdings it has never heard of, as after a loss. The seed is printed; AGREEMENT_SEED replays one
 * run, FUZZ_RUNS sets their number.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Server, startRedis } from "@holdfast/servers";
import { hold, isClaim } from "./contract-world.ts";
import { tagOf } from "./identifiers.ts";
import { createMemoryRegistry } from "./memory.ts";
import { connectRedis, type RedisConnection } from "./redis.ts";
import { createRedisWorld } from "./redis-world.ts";
import type { Claim, Holding, Identity, Presented, SessionRegistry } from "./session.ts";

const RUNS = Number(process.env["FUZZ_RUNS"] ?? 40);
const STEPS = 150;
const FIRST_SEED = Number(process.env["AGREEMENT_SEED"] ?? Date.now() % 1_000_000_000);

const settings = {
  ...{ sessionTtlMs: 120_000, sessionsPerAccountMax: 4 },
  ...{ replayGraceMs: 50, flapDisplacementsMax: 1, flapWindowMs: 60_000, aliasGraceMs: 10_000 },
};

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

describe("createRedisRegistry and createMemoryRegistry", () => {
  test(`they answer alike, seeds ${FIRST_SEED} to ${FIRST_SEED + RUNS - 1}`, async () => {
    const seen = new Set<string>();
    for (let run = 0; run < RUNS; run++) await play(FIRST_SEED + run, seen);

    // A run that never meets a rule proves nothing about it.
    if (RUNS < 40) return;
    expect([...seen].toSorted()).toEqual([
      ...["alias", "claimed", "displaced", "displaces", "ended", "endsReplayed", "endsStolen"],
      ...["flapping", "held", "lapsed", "limit", "overtaken", "replayed", "session", "stolen"],
      ...["takenOver", "takesOver", "token"],
    ]);
  }, 120_000);
});

interface Pair {
  readonly redis: SessionRegistry;
  readonly memory: SessionRegistry;
}

/** Everything that was ever handed out, to be used again at the wrong time and place. */
interface Pool {
  readonly tokens: { readonly redis: string; readonly memory: string }[];
  readonly used: { readonly at: number; readonly presented: Presented }[];
  readonly sessionIds: string[];
  readonly resumed: {
    readonly sessionId: string;
    readonly presented: Presented;
    readonly askedAgoMs: number;
  }[];
  readonly holdings: Holding[];
}

async function play(seed: number, seen: Set<string>): Promise<void> {
  const random = createRandom(seed);
  const suspicion = { theftEnds: seed % 2 === 0, replayEnds: seed % 4 !== 1 };
  const worlds = [1, 2].map(() => createRedisWorld(redis, { ...settings, ...suspicion }));
  const now = worlds[0]!.now;
  worlds[1]!.advance(now() - worlds[1]!.now()); // one clock for all
  const pairs: Pair[] = worlds.map((world) => ({
    redis: world.registry,
    memory: createMemoryRegistry({ settings: world.settings, clock: { now } }),
  }));
  const pool: Pool = { tokens: [], used: [], sessionIds: [], resumed: [], holdings: [] };
  const trail: string[] = [];

  for (let step = 0; step < STEPS; step++) {
    if (random.chance(0.2)) {
      const ms = random.pick([1, 50, 700, 3000, 9999, 10_000, 15_000, 30_000, 45_000, 100_000]);
      trail.push(`advance ${ms}`);
      for (const world of worlds) world.advance(ms);
    }
    const pair = random.chance(0.85) ? pairs[0]! : pairs[1]!;
    const call = choose(random, pool, step);
    trail.push(`${pair === pairs[0] ? "" : "second: "}${call.name}`);
    const [expected, actual] = [await call.on(pair, "memory"), await call.on(pair, "redis")];
    const told = `seed ${seed}, step ${step}, after:\n${trail.slice(-25).join("\n")}`;
    expect(actual, told).toEqual(expected);
    const account = random.pick(["anna", "bert"]);
    expect(await pair.redis.seats(account), told).toEqual(await pair.memory.seats(account));
    note(seen, expected);
  }
}

interface Call {
  readonly name: string;
  readonly on: (pair: Pair, side: "redis" | "memory") => Promise<unknown>;
}

function choose(random: Random, pool: Pool, step: number): Call {
  const kind = random.pick([
    "issue",
    "login",
    "login",
    "resume",
    "resume",
    "renew",
    "renew",
    "leave",
  ]);
  if (kind === "issue" || pool.tokens.length === 0) return issueCall(random, pool);
  if (random.chance(0.02)) return endCall(random, pool);
  if (random.chance(0.02)) return reapCall(random);
  if (kind === "login") return loginCall(random, pool, step);
  if (kind === "resume" && pool.sessionIds.length > 0) return resumeCall(random, pool, step);
  if (pool.holdings.length === 0) return issueCall(random, pool);
  if (kind === "leave") {
    const holding = random.late(pool.holdings);
    return { name: `leave ${show(holding)}`, on: (pair, side) => pair[side].leave(holding) };
  }
  // One at a time: on Redis absent seats are put back after all the others were looked at.
  const holding = { ...random.late(pool.holdings), proven: random.chance(0.5) };
  return { name: `renew ${show(holding)}`, on: (pair, side) => pair[side].renew([holding]) };
}

function reapCall(random: Random): Call {
  const account = random.pick(["anna", "bert"]);
  const tag = tagOf(account);
  return { name: `reap ${account}`, on: (pair, side) => pair[side].reap(tag, "node-1") };
}

function issueCall(random: Random, pool: Pool): Call {
  const identity: Identity = {
    account: random.pick(["anna", "anna", "anna", "bert"]),
    seatsMax: random.pick([1, 1, 2, 2, 3]),
    policy: random.pick(["displace", "displace", "displace", "reject"]),
    metadata: {},
  };
  const tokens = { redis: "", memory: "" };
  pool.tokens.push(tokens);
  return {
    name: `issue ${identity.account} ${identity.seatsMax} ${identity.policy}`,
    async on(pair, side) {
      const { token, ...rest } = await pair[side].issue(identity, 60_000);
      tokens[side] = token;
      return rest;
    },
  };
}

function loginCall(random: Random, pool: Pool, step: number): Call {
  const isRepeated = pool.used.length > 0 && random.chance(0.3);
  const use = isRepeated
    ? random.late(pool.used)
    : { at: random.lateIndex(pool.tokens), presented: presentedBy(random, step) };
  pool.used.push(use);
  return {
    name: `login token ${use.at} by ${use.presented.seat.connection}`,
    async on(pair, side) {
      const answer = await pair[side].login(pool.tokens[use.at]![side], use.presented);
      if (side === "memory" && isClaim(answer)) {
        pool.sessionIds.push(answer.sessionId);
        pool.holdings.push(hold(answer, use.presented));
      }
      return answer;
    },
  };
}

function resumeCall(random: Random, pool: Pool, step: number): Call {
  const isRepeated = pool.resumed.length > 0 && random.chance(0.2);
  const use = isRepeated
    ? random.late(pool.resumed)
    : {
        sessionId: random.late(pool.sessionIds),
        presented: presentedBy(random, step),
        askedAgoMs: random.pick([0, 0, 0.5, 40, 700, 4_500]),
      };
  pool.resumed.push(use);
  return {
    name: `resume ${use.sessionId.slice(23, 32)} by ${use.presented.seat.connection}`,
    async on(pair, side) {
      const { sessionId, presented, askedAgoMs } = use;
      const answer = await pair[side].resume(sessionId, presented, askedAgoMs);
      if (side === "memory" && isClaim(answer)) {
        pool.sessionIds.push(answer.sessionId);
        pool.holdings.push(hold(answer, use.presented));
      }
      return answer;
    },
  };
}

function endCall(random: Random, pool: Pool): Call {
  if (pool.holdings.length > 0 && random.chance(0.7)) {
    const { session } = random.late(pool.holdings);
    return { name: `end ${session.sid}`, on: (pair, side) => pair[side].end({ session }, "over") };
  }
  const account = random.pick(["anna", "bert"]);
  return { name: `end ${account}`, on: (pair, side) => pair[side].end({ account }, "over") };
}

function presentedBy(random: Random, step: number): Presented {
  const letters = `s${step}-`.padEnd(43, "x");
  return {
    seat: { node: random.pick(["n1", "n2"]), connection: `c${step}` },
    ...{ sid: letters.slice(0, 16), secret: letters },
    clientMetadata: random.chance(0.2) ? { step: String(step) } : {},
  };
}

function show({ session, seat, proven }: Holding): string {
  const isProven = proven ? " proven" : "";
  return `${session.sid.replaceAll("x", "")}@${seat.connection}/${session.generation}${isProven}`;
}

/** What kinds of answers came up. */
function note(seen: Set<string>, answer: unknown): void {
  if (typeof answer === "string") seen.add(answer);
  if (Array.isArray(answer)) for (const verdict of answer) seen.add(String(verdict));
  if (typeof answer !== "object" || answer === null) return;
  if ("refusal" in answer) seen.add(answer.refusal === "stolen" ? "endsStolen" : "endsReplayed");
  if (!("session" in answer)) return;
  const claim = answer as unknown as Claim; // the only answer with a session
  seen.add("claimed");
  if (claim.isAliasUsed) seen.add("alias");
  if (claim.displaced.length > 0) seen.add("displaces");
  if (claim.takenOver.length > 0) seen.add("takesOver");
  if (claim.lapsed.length > 0) seen.add("lapsed");
}

type Random = ReturnType<typeof createRandom>;

/** Mulberry32: small, and the same everywhere. */
function createRandom(seed: number) {
  let state = seed >>> 0;
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
  const below = (bound: number) => Math.floor(next() * bound);
  /** Mostly one of the last few. */
  function lateIndex(list: readonly unknown[]): number {
    return next() < 0.2 ? below(list.length) : Math.max(0, list.length - 1 - below(4));
  }
  return {
    below,
    lateIndex,
    chance: (probability: number) => next() < probability,
    pick: <T>(list: readonly T[]): T => list[below(list.length)]!, // lists are never empty
    late: <T>(list: readonly T[]): T => list[lateIndex(list)]!,
  };
}
