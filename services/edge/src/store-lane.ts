/**
 * Everything a node asks of the store but logins and renewals, a few at a time: when ten thousand
 * connections end in one turn, ten thousand seats are to be given back. Logins have admission.ts,
 * renewals are bounded by themselves.
 */
import type { SessionRegistry } from "@holdfast/session";
import { createQueue } from "./queue.ts";

export interface BoundedRegistry extends SessionRegistry {
  readonly lane: { readonly inFlight: number; readonly waiting: number; readonly peak: number };
}

/** What waits is bounded by whoever asks: a seat, a dead node's account, an account push. */
export function boundRegistry(registry: SessionRegistry, inFlightMax: number): BoundedRegistry {
  const lane = createLane(inFlightMax);
  return {
    issue: registry.issue,
    login: registry.login,
    resume: registry.resume,
    renew: registry.renew,
    leave: (holding) => lane.run(() => registry.leave(holding)),
    seats: (account) => lane.run(() => registry.seats(account)),
    reap: (tag, node, diedAtMs) => lane.run(() => registry.reap(tag, node, diedAtMs)),
    end: (who, reason) => lane.run(() => registry.end(who, reason)),
    lane,
  };
}

export function createLane(inFlightMax: number) {
  const waiting = createQueue<() => void>();
  let inFlight = 0;
  let peak = 0;

  return {
    run,
    get inFlight() {
      return inFlight;
    },
    get waiting() {
      return waiting.size;
    },
    get peak() {
      return peak;
    },
  };

  /** First come, first served. Rejects as the call does. */
  function run<T>(call: () => Promise<T>): Promise<T> {
    if (inFlight < inFlightMax) {
      inFlight++;
      if (inFlight > peak) peak = inFlight;
      return start(call);
    }
    return new Promise((resolve, reject) => {
      waiting.push(() => start(call).then(resolve, reject));
    });
  }

  async function start<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } finally {
      end();
    }
  }

  /** The next takes over the place. */
  function end(): void {
    const next = waiting.shift();
    if (next === undefined) inFlight--;
    else next();
  }
}
