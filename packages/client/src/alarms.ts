/**
 * All the waiting of one client on one interval, which runs only while something waits. An alarm
 * rings up to one tick late.
 */

/** The part of a clock that a client needs. */
export interface ClientClock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Milliseconds from any start; never goes back. */
  monotonic(): number;
  /** Calls `tick` every so often until the returned function is called. */
  every(intervalMs: number, tick: () => void): () => void;
}

export const clientClock: ClientClock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  every(intervalMs, tick) {
    const timer = setInterval(tick, intervalMs);
    return () => clearInterval(timer);
  },
};

export interface Alarms {
  /** Rings once, unless the returned function is called first. */
  after(delayMs: number, ring: () => void): () => void;
}

export function createAlarms(options: {
  readonly clock: ClientClock;
  readonly tickMs: number;
}): Alarms {
  const { clock, tickMs } = options;
  const alarms = new Set<{ readonly dueMs: number; readonly ring: () => void }>();
  let stopTicking: (() => void) | null = null; // not null exactly while alarms has members

  return { after };

  function after(delayMs: number, ring: () => void): () => void {
    const alarm = { dueMs: clock.monotonic() + delayMs, ring };
    alarms.add(alarm);
    stopTicking ??= clock.every(tickMs, tick);
    return () => {
      alarms.delete(alarm);
      rest();
    };
  }

  function tick(): void {
    const nowMs = clock.monotonic();
    for (const alarm of [...alarms]) {
      // An alarm that rang before may have cancelled this one.
      if (alarm.dueMs > nowMs || !alarms.delete(alarm)) continue;
      alarm.ring();
    }
    rest();
  }

  function rest(): void {
    if (alarms.size > 0) return;
    stopTicking?.();
    stopTicking = null;
  }
}
