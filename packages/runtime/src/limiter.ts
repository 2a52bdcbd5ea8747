/**
 * Token buckets by key: each may burst, and is refilled at a rate. A bucket that is full again is
 * as good as none, and is forgotten. The number of keys is bounded; when there are more, those that
 * were quiet longest are forgotten, which forgives them.
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
  const fillMs = burst * placeMs;
  const generationMax = Math.floor(keysMax / 2);
  /**
   * When each bucket will be full again. Two generations, the older one dropped whole: to take the
   * quietest key off the front of a single Map costs the more the more of them have gone before.
   */
  let recent = new Map<string, number>();
  let older = new Map<string, number>();
  let bornMs = clock.monotonic();

  return {
    take,
    get keys() {
      age(clock.monotonic());
      return recent.size + older.size;
    },
  };

  function take(key: string): number {
    if (perSecond === 0) return 0;
    const nowMs = clock.monotonic();
    age(nowMs);
    const before = Math.max(nowMs, recent.get(key) ?? older.get(key) ?? 0);
    const waitMs = before + placeMs - (nowMs + fillMs) - roundingMs;
    older.delete(key);
    if (!recent.has(key) && recent.size >= generationMax) succeed(nowMs);
    recent.set(key, waitMs > 0 ? before : before + placeMs);
    return waitMs > 0 ? Math.ceil(waitMs) : 0;
  }

  /** Who was quiet for as long as a bucket takes to fill has a full one. */
  function age(nowMs: number): void {
    if (nowMs - bornMs < fillMs) return;
    if (nowMs - bornMs >= 2 * fillMs) recent = new Map();
    succeed(nowMs);
  }

  function succeed(nowMs: number): void {
    older = recent;
    recent = new Map();
    bornMs = nowMs;
  }
}
