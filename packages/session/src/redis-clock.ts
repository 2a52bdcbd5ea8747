/**
 * What time it is in Redis, as this process knows it: so that a call can say until when it may run.
 * Each answer that tells the time bounds it from both sides; what contradicts the bounds is a clock
 * that jumped, or another Redis, and replaces them.
 */

/** How far ahead of this process' clock Redis' is: between the two, in milliseconds. */
interface Bounds {
  readonly low: number;
  readonly high: number;
  readonly atMs: number; // when they were learnt, by this process
}

/** One answer that told the time. */
export interface TimeHeard {
  /** Of Redis, milliseconds since 1970. */
  readonly timeMs: number;
  /** By this process: before the question was sent, and after the answer came. */
  readonly askedMs: number;
  readonly answeredMs: number;
}

export interface RedisClock {
  /** From one Redis: a node of a Cluster has a clock of its own. */
  heard(from: object, heard: TimeHeard): void;
  /** What was known of it no longer counts. */
  forget(from: object): void;
  /**
   * The time of Redis at `localMs` of this process, or later, never earlier: of several the one
   * that is furthest ahead. Null while none has told its time lately, or within `validMs`: then a
   * jump since counts for nothing.
   */
  at(localMs: number, validMs?: number): number | null;
}

/** Clocks are kept in step by at most this much; more is a jump. */
const DRIFT = 0.0005;
/** Who has not been heard for so long is gone; the connection asks each second. */
const VALID_MS = 5_000;
const SOURCES_MAX = 1_000; // a Cluster has no more nodes

export function createRedisClock(): RedisClock {
  const known = new Map<object, Bounds>();

  return {
    heard(from, { timeMs, askedMs, answeredMs }) {
      const next = { low: timeMs - answeredMs, high: timeMs - askedMs, atMs: answeredMs };
      const before = known.get(from);
      known.delete(from); // the map stands in the order of hearing
      known.set(from, before === undefined ? next : narrowed(before, next));
      for (const oldest of known.keys()) {
        if (known.size <= SOURCES_MAX) break;
        known.delete(oldest);
      }
    },
    forget: (from) => void known.delete(from),
    at(localMs, validMs = VALID_MS) {
      let ahead: number | null = null;
      for (const { high, atMs } of known.values()) {
        const ageMs = localMs - atMs;
        if (ageMs > validMs) continue;
        ahead = Math.max(ahead ?? Number.NEGATIVE_INFINITY, high + DRIFT * ageMs);
      }
      return ahead === null ? null : localMs + ahead;
    },
  };
}

/** Both are true of a clock that ran on; of one that jumped only the newer is. */
function narrowed(before: Bounds, next: Bounds): Bounds {
  const driftMs = DRIFT * Math.max(0, next.atMs - before.atMs);
  const low = Math.max(before.low - driftMs, next.low);
  const high = Math.min(before.high + driftMs, next.high);
  return low > high ? next : { low, high, atMs: next.atMs };
}
