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
