/** What this node does when others, or itself, cannot be reached. */
import type { Metrics } from "@holdfast/runtime";

export type KickEnd = "lease" | "dead" | "full";

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
  for (const reason of ["lease", "dead", "full"] as const) givenUp.labels({ reason });
  return {
    kickRepeated: () => repeated.inc(),
    kickGivenUp: (reason: KickEnd) => givenUp.labels({ reason }).inc(),
  };
}

/** Read when somebody collects. */
export interface FenceReadings {
  readonly kicksPending: () => number;
}

export function watchFence(metrics: Metrics, readings: FenceReadings): void {
  metrics.gauge({
    name: "holdfast_kicks_pending",
    help: "Displacements that other nodes have not acknowledged yet",
    read: readings.kicksPending,
  });
}
