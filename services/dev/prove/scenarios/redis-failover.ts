/**
 * Promise 5, failover: a primary under Sentinel and in a Cluster is killed or stands still, and its
 * replica takes over. Until then who comes is told to wait; who is in notices nothing.
 */
import { measureOutage } from "../outage.ts";
import type { Scenario } from "../scenario.ts";

const topologies = { sentinel: "Sentinel", cluster: "Cluster" } as const;
const faults = { SIGKILL: "killed", SIGSTOP: "standing still" } as const;

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
    for (const [redis, topology] of entries(topologies)) {
      for (const [signal, words] of entries(faults)) {
        const lab = await trial.lab({ redis });
        await measureOutage(trial, lab, {
          ...{
            of: "redis",
            name: `${topology}, a primary ${words}`,
            sessions: "kept",
            isFailover: true,
          },
          begin: () => lab.servers.redis[0]?.signal(signal),
          // Comes back as a replica, when somebody else has long taken over.
          end: () =>
            signal === "SIGKILL"
              ? lab.servers.redis[0]?.restart()
              : lab.servers.redis[0]?.signal("SIGCONT"),
        });
      }
    }
  },
};

function entries<Key extends string>(record: Readonly<Record<Key, string>>): [Key, string][] {
  return Object.entries(record) as [Key, string][]; // no other keys are in these
}
