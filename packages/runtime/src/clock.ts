/** Time, passed in: the system's, and one that tests move by hand. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Milliseconds from any start; never goes back. For deadlines and intervals. */
  monotonic(): number;
  /** Calls `tick` every so often until the returned function is called. */
  every(intervalMs: number, tick: () => void): () => void;
  sleep(durationMs: number): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  every(intervalMs, tick) {
    const timer = setInterval(tick, intervalMs);
    return () => clearInterval(timer);
  },
  sleep: (durationMs) => new Promise((resolve) => setTimeout(resolve, durationMs)),
};

/** A clock that stands still until a test moves it. */
export interface ManualClock extends Clock {
  /**
   * Moves time on and fires what falls due, in the order of its time. Ticks of `every` fire within
   * the call; whoever wakes from a `sleep` has run on once the promise is awaited.
   */
  advance(durationMs: number): Promise<void>;
  /** Timers that wait: zero once everything has cleaned up after itself. */
  readonly waiting: number;
}

interface Timer {
  dueMs: number;
  readonly intervalMs: number | null; // null: a sleep, which fires once
  readonly fire: () => void;
}

/** `startMs` is what `now()` says first; `monotonic()` starts at zero. */
export function createManualClock(startMs = 0): ManualClock {
  const timers = new Set<Timer>();
  let elapsedMs = 0;

  return {
    now: () => startMs + elapsedMs,
    monotonic: () => elapsedMs,
    every(intervalMs, tick) {
      if (!(intervalMs > 0)) throw new RangeError(`Cannot tick every ${intervalMs} ms: above 0`);
      const timer: Timer = { dueMs: elapsedMs + intervalMs, intervalMs, fire: tick };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    sleep: (durationMs) =>
      new Promise((resolve) => {
        timers.add({ dueMs: elapsedMs + durationMs, intervalMs: null, fire: resolve });
      }),
    advance,
    get waiting() {
      return timers.size;
    },
  };

  async function advance(durationMs: number): Promise<void> {
    const endMs = elapsedMs + durationMs;
    for (let timer = nextDue(endMs); timer !== null; timer = nextDue(endMs)) {
      elapsedMs = Math.max(elapsedMs, timer.dueMs);
      if (timer.intervalMs === null) timers.delete(timer);
      else timer.dueMs += timer.intervalMs;
      timer.fire();
      if (timer.intervalMs === null) await settled();
    }
    elapsedMs = endMs;
    await settled();
  }

  function nextDue(endMs: number): Timer | null {
    let next: Timer | null = null;
    for (const timer of timers) {
      if (timer.dueMs <= endMs && (next === null || timer.dueMs < next.dueMs)) next = timer;
    }
    return next;
  }
}

/** Lets the promises that are ready run on, and those they make ready in turn. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}
