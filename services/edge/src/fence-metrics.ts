/** What this node does when others, or itself, cannot be reached. */
import type { Metrics } from "@holdfast/runtime";
import { type FenceState, fenceStates } from "./fence.ts";

export type KickEnd = "lease" | "dead" | "full" | "fenced";

export function fenceMetrics(metrics: Metrics) {
  const repeated = metrics.counter({
    name: "holdfast_kicks_repeated_total",
    help: "Words to other nodes about displaced connections that had to be said again",
  });
  const givenUp = metrics.counter({
    name: "holdfast_kicks_given_up_total",
    help: "Displacements that no node acknowledged, by why nobody waits any longer",
    labels: ["reason"],
  });
  for (const reason of ["lease", "dead", "full", "fenced"] as const) givenUp.labels({ reason });
  const buried = metrics.counter({
    name: "holdfast_nodes_buried_total",
    help: "Other nodes whose seats this one took over, by how their end was told",
    labels: ["cause"],
  });
  for (const cause of ["lapsed", "dead"] as const) buried.labels({ cause });
  const fenced = metrics.counter({
    name: "holdfast_fence_closes_total",
    help: "Connections closed because this node could not reach Redis, and others may have",
  });
  const stalls = metrics.counter({
    name: "holdfast_stalls_total",
    help: "Times the process stood still for over 2 s and had to verify its seats",
  });
  const verification = metrics.histogram({
    name: "holdfast_stall_verify_seconds",
    help: "From waking to the last connection whose seat was verified",
    buckets: [0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 50],
  });
  return {
    fenced: (closed: number) => fenced.inc(closed),
    stoodStill: () => stalls.inc(),
    verified: (ms: number) => verification.observe(ms / 1000),
    nodeBuried: (cause: "lapsed" | "dead") => buried.labels({ cause }).inc(),
    kickRepeated: () => repeated.inc(),
    kickGivenUp: (reason: KickEnd) => givenUp.labels({ reason }).inc(),
  };
}

/** Read when somebody collects. */
export interface FenceReadings {
  readonly kicksPending: () => number;
  readonly fenceState: () => FenceState;
  readonly leaseRemainingMs: () => number;
}

export function watchFence(metrics: Metrics, readings: FenceReadings): void {
  metrics.gauge({
    name: "holdfast_kicks_pending",
    help: "Displacements that other nodes have not acknowledged yet",
    read: readings.kicksPending,
  });
  metrics.gauge({
    name: "holdfast_lease_remaining_min_seconds",
    help: "What surely is left of the lease that ends first; 0: it may have lapsed",
    read: () => readings.leaseRemainingMs() / 1000,
  });
  const states = metrics.gauge({
    name: "holdfast_fence_state",
    help: "1 for what this node knows of its reach to Redis",
    labels: ["state"],
    read: ({ state }: Record<"state", string>) => Number(state === readings.fenceState()),
  });
  for (const state of fenceStates) states.labels({ state });
}
