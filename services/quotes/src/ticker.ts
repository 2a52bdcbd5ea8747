/** Draws quotes from the feed at a steady rate, and hands each one on. */
import type { Clock } from "@holdfast/runtime";
import type { Feed, Quote } from "./feed.ts";

export interface Ticker {
  start(): void;
  /** May be called twice. */
  stop(): void;
}

export interface TickerOptions {
  readonly feed: Feed;
  readonly quotesPerSecond: number;
  readonly clock: Clock;
  readonly publish: (quote: Quote) => void;
}

const intervalMs = 20;
/** After a stall nobody wants the quotes of a minute at once. */
const arrearsMsMax = 200;

export function createTicker({ feed, quotesPerSecond, clock, publish }: TickerOptions): Ticker {
  let callOff: (() => void) | null = null;
  let lastMs = 0;
  let owed = 0; // quotes, with a fraction

  return { start, stop };

  function start(): void {
    if (callOff !== null) return;
    lastMs = clock.monotonic();
    callOff = clock.every(intervalMs, tick);
  }

  function stop(): void {
    callOff?.();
    callOff = null;
  }

  function tick(): void {
    const nowMs = clock.monotonic();
    owed += (Math.min(nowMs - lastMs, arrearsMsMax) * quotesPerSecond) / 1000;
    lastMs = nowMs;
    for (; owed >= 1; owed--) publish(feed.next(clock.now()));
  }
}
