/**
 * Token buckets by key: each may burst, and is refilled at a rate. The number of keys is bounded;
 * when there are more, the one that was quiet longest is forgotten, which forgives it.
 */
import type { Clock } from "@holdfast/runtime";

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

interface Bucket {
  places: number; // at `atMs`; never above the burst
  atMs: number;
}

export function createLimiter(options: LimiterOptions): Limiter {
  const { perSecond, burst, keysMax, clock } = options;
  const buckets = new Map<string, Bucket>(); // in the order of last use, the oldest first

  return {
    take,
    get keys() {
      return buckets.size;
    },
  };

  function take(key: string): number {
    if (perSecond === 0) return 0;
    const nowMs = clock.monotonic();
    const bucket = buckets.get(key) ?? { places: burst, atMs: nowMs };
    buckets.delete(key);
    buckets.set(key, bucket);
    if (buckets.size > keysMax) forgetOldest();

    bucket.places = Math.min(burst, bucket.places + ((nowMs - bucket.atMs) * perSecond) / 1000);
    bucket.atMs = nowMs;
    if (bucket.places < 1) return Math.ceil(((1 - bucket.places) * 1000) / perSecond);
    bucket.places -= 1;
    return 0;
  }

  function forgetOldest(): void {
    for (const key of buckets.keys()) {
      buckets.delete(key);
      return;
    }
  }
}
