/**
 * How long something has been reached without a gap. Whoever was itself cut off for as long as
 * makes others look dead is no judge of them, and no witness, until it has been steady again.
 */
import type { Clock } from "@holdfast/runtime";

export interface Reach {
  /** It answered just now; `atMs` is what its own clock said, if it has one. */
  answered(atMs?: number): void;
  /** Since the last answer; infinite before the first. */
  silentMs(): number;
  /** Since the last gap; 0 while there is one. */
  steadyMs(): number;
}

export function createReach(clock: () => Pick<Clock, "monotonic">, gapMs: () => number): Reach {
  let lastMs = Number.NEGATIVE_INFINITY;
  let lastAtMs: number | null = null;
  let steadySinceMs = 0;

  return { answered, silentMs, steadyMs };

  function answered(atMs: number | null = null): void {
    const nowMs = clock().monotonic();
    // By both clocks: that of the store jumps at a failover, and others may seem silent then.
    const jumpMs = atMs === null || lastAtMs === null ? 0 : Math.abs(atMs - lastAtMs);
    if (Math.max(nowMs - lastMs, jumpMs) > gapMs()) steadySinceMs = nowMs;
    lastMs = nowMs;
    lastAtMs = atMs;
  }

  function silentMs(): number {
    return clock().monotonic() - lastMs;
  }

  function steadyMs(): number {
    return silentMs() > gapMs() ? 0 : clock().monotonic() - steadySinceMs;
  }
}
