/**
 * Token buckets by key: each may burst, and is refilled at a rate. The number of keys is bounded;
 * when there are more, the one that was quiet longest is forgotten, which forgives it.
 */
import type { Clock } from "./clock.ts";

export interface Limiter {
  /** Zero: admitted, and counted. Else how many milliseconds to wait for the next place. */
  take(key: string): number;
  readonly keys: number;
}

export interface LimiterOptions {
  readonly perSecond: number; // 0 turns it off
  readonly burst: number;
  readonly keysMax: number;
  readonly clock: Clock;
}

/** Less than any wait that matters; keeps what fractions add up to from refusing the last place. */
const roundingMs = 1e-6;

export function createLimiter(options: LimiterOptions): Limiter {
  const { perSecond, burst, keysMax, clock } = options;
  const placeMs = 1000 / perSecond; // until one place is refilled
  // When each bucket will be full again, in the order of last use: the quietest first.
  const fullAtMs = new Map<string, number>();

  return {
    take,
    get keys() {
      return fullAtMs.size;
    },
  };

  function take(key: string): number {
    if (perSecond === 0) return 0;
    const nowMs = clock.monotonic();
    const before = Math.max(nowMs, fullAtMs.get(key) ?? 0);
    const waitMs = before + placeMs - (nowMs + burst * placeMs) - roundingMs;
    fullAtMs.delete(key);
    fullAtMs.set(key, waitMs > 0 ? before : before + placeMs);
    if (fullAtMs.size > keysMax) forgetQuietest();
    return waitMs > 0 ? Math.ceil(waitMs) : 0;
  }

  function forgetQuietest(): void {
    const quietest = fullAtMs.keys().next();
    if (!quietest.done) fullAtMs.delete(quietest.value);
  }
}
