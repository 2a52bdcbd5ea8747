/** When the last pushes of one topic went to one connection: at most so many in any interval. */
import type { TopicRule } from "./topic-rules.ts";

export interface Pace {
  /** A ring of at most `burstMax` moments, which grows only as far as it is used. */
  readonly sentMs: number[];
  /** The oldest of a full ring. */
  oldest: number;
}

export function createPace(): Pace {
  return { sentMs: [], oldest: 0 };
}

export function isInPace({ sentMs, oldest }: Pace, rule: TopicRule, nowMs: number): boolean {
  if (rule.paceMs === null || sentMs.length < rule.burstMax) return true;
  return nowMs - sentMs[oldest]! >= rule.paceMs; // the ring is full, so the oldest is there
}

export function step(pace: Pace, rule: TopicRule, nowMs: number): void {
  if (pace.sentMs.length < rule.burstMax) {
    pace.sentMs.push(nowMs);
    return;
  }
  pace.sentMs[pace.oldest] = nowMs;
  pace.oldest = (pace.oldest + 1) % pace.sentMs.length;
}
