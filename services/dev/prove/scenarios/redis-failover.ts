/**
 * Promise 5, Redis with replicas: a primary under Sentinel and in a Cluster is killed or stands
 * still, and its replica takes over; or it goes on, and takes no write, or is not reached. Until
 * then who comes is told to wait; who is in notices nothing.
 */
import type { Server } from "@holdfast/servers";
import type { Lab } from "../lab.ts";
import { measureOutage, type Outage } from "../outage.ts";
import { displacing, reportOverlaps } from "../pairs.ts";
import { askRedis } from "../redis-line.ts";
import type { Scenario, Trial } from "../scenario.ts";
import { startSplitRedis } from "../split-redis.ts";

interface Case {
  readonly redis: "sentinel" | "cluster";
  readonly name: string;
  /** Nobody takes over from one that answers. */
  readonly isFailover: boolean;
  readonly begin: (primary: Server) => unknown;
  /** Comes back as a replica, when somebody else has long taken over. */
  readonly end: (primary: Server) => unknown;
}

const deaths = [
  {
    ...{ words: "killed", isFailover: true },
    begin: (primary: Server) => primary.signal("SIGKILL"),
    end: (primary: Server) => primary.restart(),
  },
  {
    ...{ words: "standing still", isFailover: true },
    begin: (primary: Server) => primary.signal("SIGSTOP"),
    end: (primary: Server) => primary.signal("SIGCONT"),
  },
];
const full = {
  ...{ words: "out of memory", isFailover: false },
  begin: (primary: Server) => askRedis(primary, "CONFIG SET maxmemory 1"),
  end: (primary: Server) => askRedis(primary, "CONFIG SET maxmemory 0"),
};

const cases: readonly Case[] = [
  ...[...deaths, full].map(({ words, ...fault }) => {
    return { ...fault, redis: "sentinel" as const, name: `Sentinel, a primary ${words}` };
  }),
  ...deaths.map(({ words, ...fault }) => {
    return { ...fault, redis: "cluster" as const, name: `Cluster, a primary ${words}` };
  }),
];

export const scenario: Scenario = {
  name: "redis-failover",
  promises: [5],
  moves: [
    {
      row: "B3",
      fault: "a primary dies or stands still, its replica takes over",
      metric: "holdfast_redis_epoch_changes_total",
      tells:
        "Redis failed over or restarted: unused tokens are void, and live seats are written back",
    },
    {
      row: "B3",
      fault: "a primary dies or stands still, its replica takes over",
      metric: "holdfast_dependency_errors_total",
      label: 'dependency="redis"',
      tells: "calls to Redis failed; `reason` says how",
    },
  ],
  shows: "a Redis primary may die or stand still: its replica takes over and nobody is dropped",
  isLongOnly: true,
  async run(trial) {
    for (const { redis, name, isFailover, begin, end } of cases) {
      const lab = await trial.lab({ redis });
      const primary = primaryOf(lab);
      await measure(trial, lab, {
        ...{ of: "redis", name, sessions: "kept", isFailover },
        begin: () => begin(primary),
        end: () => end(primary),
      });
    }
    await cutOff(trial);
  },
};

/** Nobody takes over: the Sentinels see nothing wrong with what its clients do not reach. */
async function cutOff(trial: Trial): Promise<void> {
  const redis = await startSplitRedis();
  const lab = await trial.lab({
    redis: redis.store,
    settingsOf: () => ({ EDGE_REDIS_URL: redis.lonelyUrl }),
  });
  await measure(trial, lab, {
    ...{ of: "redis", name: "Sentinel, all cut off without a word", sessions: "kept" },
    begin: redis.cutLonely,
    end: redis.heal,
  });
}

async function measure(trial: Trial, lab: Lab, outage: Outage): Promise<void> {
  const displaced = displacing(lab, outage.name);
  await measureOutage(trial, lab, displaced.during(outage));
  reportOverlaps(trial, outage.name, await displaced.overlapsMs());
}

/** Before anything has happened to it. */
function primaryOf({ servers }: Lab): Server {
  return servers.redis[0]!; // there are two at least
}
