/**
 * Goal: what the registry promises holds in any order of events. How: a few nodes and clients, a
 * bus and links that lose, repeat and delay, all moved by random schedules; every promise is
 * checked after each call, and once more when everything has come to rest. The registries are the
 * real ones: the scripts on a real Redis, and the embedded one.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Server, startRedis } from "@holdfast/servers";
import { connectRedis, type RedisConnection } from "../../src/redis.ts";
import { campaign, campaigns, explore } from "./campaign.ts";
import { createMemoryStore } from "./memory-store.ts";
import { memoryPlants, type ScriptPlant, scriptPlants } from "./plants.ts";
import { createRedisStore } from "./redis-store.ts";

const { seed, seconds } = campaign;
const timeoutMs = 120_000 + seconds * 1_000 + (campaign.runs ?? 0) * 100;

process.stderr.write(`Schedules run with FUZZ_SEED=${seed}\n`);

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

/** Every kind of answer. A run that never meets a rule proves nothing about it. */
const answers = [
  ...["alias", "lapsed", "reaped", "takes over"],
  ...["login: claimed", "login: displaces", "login: flapping", "login: limit", "login: replayed"],
  ...["login: token", "resume: claimed", "resume: displaces", "resume: limit", "resume: session"],
  ...["renewal: displaced", "renewal: held", "renewal: takenOver"],
];

describe("schedules", () => {
  for (const { what, open, ...usual } of campaigns) {
    test(
      what,
      async () => {
        const store = await open(redis);
        const runs = campaign.runs ?? usual.runs;

        const found = await explore(store, { ...usual, seed, runs, seconds });

        if (seconds > 0) process.stderr.write(`${found.runs} schedules\n`);
        if (found.story !== null) throw new Error(found.story);
        if (campaign.runs !== null || usual.isLossy) return;
        expect(answers.filter((one) => !found.met.has(one))).toEqual([]);
      },
      timeoutMs,
    );
  }
});

describe("planted bugs", () => {
  for (const plant of scriptPlants) {
    test(
      `the model finds that ${plant.bug}`,
      async () => {
        const store = await createRedisStore(redis, (name, source) => planted(plant, name, source));

        const seed = plant.seed ?? search.seed;

        const found = await explore(store, { ...search, seed, isLossy: false });

        expect(found.story).toMatch(plant.broken);
      },
      timeoutMs,
    );
  }

  for (const { bug, meddle, broken } of memoryPlants) {
    test(
      `the model finds in the embedded registry that ${bug}`,
      async () => {
        const found = await explore(createMemoryStore(meddle), { ...search, isLossy: false });

        expect(found.story).toMatch(broken);
      },
      timeoutMs,
    );
  }

  /** A seed of its own, by which each is found soon; most take no more than a dozen schedules. */
  const search = { seed: 3, runs: 6_000, isShrunk: false };

  function planted({ script, from, to }: ScriptPlant, name: string, source: string): string {
    if (!script.test(name)) return source;
    if (!source.includes(from)) throw new Error(`Cannot plant in ${name}: it has no ${from}`);
    return source.replace(from, () => to);
  }
});
