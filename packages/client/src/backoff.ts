/**
 * How long to wait before the next attempt: anything up to a ceiling that doubles. Full jitter
 * spreads the clients of a node that went away over the whole span.
 */
export interface Backoff {
  /** At most `firstMs`, then twice as much with every call, never more than `maxMs`. */
  next(): number;
  reset(): void;
}

export function createBackoff(options: {
  readonly firstMs: number;
  readonly maxMs: number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}): Backoff {
  let ceilingMs = options.firstMs;

  return {
    next() {
      const delayMs = options.random() * Math.min(ceilingMs, options.maxMs);
      ceilingMs = Math.min(ceilingMs * 2, options.maxMs);
      return delayMs;
    },
    reset() {
      ceilingMs = options.firstMs;
    },
  };
}
