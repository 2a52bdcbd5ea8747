/**
 * Many schedules on one store. FUZZ_SEED is the seed and FUZZ_RUNS the number of schedules, as for
 * other properties; MODEL_SECONDS instead goes on for so long, from another seed each time.
 */
import fc from "fast-check";
import type { RedisConnection } from "../../src/redis.ts";
import { createMemoryStore } from "./memory-store.ts";
import { createRedisStore } from "./redis-store.ts";
import { play, type Schedule, schedules } from "./schedule.ts";
import { type ModelStore, Stalled } from "./store.ts";

const seconds = Number(process.env["MODEL_SECONDS"] ?? 0);
const ownSeed = seconds > 0 ? Date.now() % 1_000_000_000 : 20_220_601;

export const campaign = {
  seed: Number(process.env["FUZZ_SEED"] ?? ownSeed),
  /** Null: each store has its own. */
  runs: process.env["FUZZ_RUNS"] === undefined ? null : Number(process.env["FUZZ_RUNS"]),
  seconds,
};

/** The stores, and how many schedules each is played when nobody says otherwise. */
export interface Campaign {
  readonly what: string;
  readonly isLossy: boolean;
  readonly runs: number;
  open(redis: RedisConnection): Promise<ModelStore>;
}

export const campaigns: readonly Campaign[] = [
  {
    what: "the embedded registry keeps its promises",
    ...{ isLossy: false, runs: 2_000, open: async () => createMemoryStore() },
  },
  {
    what: "the scripts keep their promises on a real Redis",
    ...{ isLossy: false, runs: 500, open: (redis) => createRedisStore(redis) },
  },
  {
    what: "the embedded registry keeps those that survive a loss of everything",
    ...{ isLossy: true, runs: 1_000, open: async () => createMemoryStore() },
  },
  {
    what: "the scripts keep those that survive an empty Redis and a replica's promotion",
    ...{ isLossy: true, runs: 300, open: (redis) => createRedisStore(redis) },
  },
];

export interface Findings {
  readonly runs: number;
  readonly met: ReadonlySet<string>;
  /** The broken promise, and the shortest schedule found that breaks it. Null: all were kept. */
  readonly story: string | null;
}

const triesMax = 5;

export async function explore(
  store: ModelStore,
  options: {
    readonly isLossy: boolean;
    readonly seed: number;
    readonly runs: number;
    readonly seconds?: number;
    /** False: the first schedule that fails will do. */
    readonly isShrunk?: boolean;
  },
): Promise<Findings> {
  const { isLossy, seed, runs, seconds = 0, isShrunk = true } = options;
  const met = new Set<string>();
  const timed = { interruptAfterTimeLimit: seconds * 1000, markInterruptAsFailure: false };
  const details = await fc.check(
    fc.asyncProperty(schedules({ isLossy }), async (schedule) => {
      for (const word of await played(schedule, store)) met.add(word);
    }),
    {
      ...{ seed, numRuns: seconds > 0 ? 1_000_000_000 : runs, endOnFailure: !isShrunk },
      ...(seconds > 0 ? timed : {}),
    },
  );
  if (!details.failed) return { runs: details.numRuns, met, story: null };
  const { errorInstance: error } = details;
  const words = error instanceof Error ? error.message : String(error);
  const told = `schedule ${details.numRuns} of FUZZ_SEED=${seed}, shrunk ${details.numShrinks} times`;
  return { runs: details.numRuns, met, story: `${words}\n${told}` };
}

async function played(schedule: Schedule, store: ModelStore): Promise<ReadonlySet<string>> {
  for (let tries = 1; ; tries++) {
    try {
      return (await play(schedule, store)).met;
    } catch (error) {
      if (!(error instanceof Stalled) || tries === triesMax) throw error;
    }
  }
}
