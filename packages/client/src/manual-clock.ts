/** A clock that stands still until a test moves it. */
import type { ClientClock } from "./alarms.ts";

export interface ManualClock extends ClientClock {
  /** Moves on by single ticks, and lets what they started run as far as it can. */
  advance(durationMs: number): Promise<void>;
  /** Intervals that run. */
  readonly running: number;
}

const stepMs = 100; // the tick of a client

export function createManualClock(): ManualClock {
  const intervals = new Set<{ dueMs: number; readonly intervalMs: number; tick: () => void }>();
  let elapsedMs = 0;

  return {
    now: () => 1_700_000_000_000 + elapsedMs,
    monotonic: () => elapsedMs,
    every(intervalMs, tick) {
      const interval = { dueMs: elapsedMs + intervalMs, intervalMs, tick };
      intervals.add(interval);
      return () => void intervals.delete(interval);
    },
    advance,
    get running() {
      return intervals.size;
    },
  };

  async function advance(durationMs: number): Promise<void> {
    const endMs = elapsedMs + durationMs;
    await settle(); // what was started before belongs to the time before
    while (elapsedMs < endMs) {
      elapsedMs = Math.min(elapsedMs + stepMs, endMs);
      for (const interval of [...intervals]) {
        if (interval.dueMs > elapsedMs) continue;
        interval.dueMs += interval.intervalMs;
        interval.tick();
      }
      await settle();
    }
  }

  function settle(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }
}
