/**
 * Requests that wait for a login, in order, within a bound. Each leaves once: sent, too late, taken
 * back by its signal, or rejected with the rest when the client stops.
 */
import type { Alarms, ClientClock } from "./alarms.ts";
import { RequestTimeout } from "./errors.ts";

export interface QueuedRequest {
  readonly command: number;
  readonly body: Uint8Array;
  /** From now, the waiting included. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

export interface RequestQueue<Answer> {
  /** `send` gets what is left of the time. Rejects with RangeError beyond the bounds. */
  add(request: QueuedRequest, send: (leftMs: number) => Promise<Answer>): Promise<Answer>;
  /** Sends the first ones, at most this many. */
  flush(countMax: number): void;
  failAll(error: Error): void;
  readonly size: number;
}

interface Entry {
  readonly bytes: number;
  readonly deadlineMs: number;
  readonly send: (leftMs: number) => void;
  readonly reject: (error: unknown) => void;
  readonly release: () => void;
}

export function createRequestQueue<Answer>(options: {
  readonly alarms: Alarms;
  readonly clock: ClientClock;
  readonly countMax: number;
  readonly bytesMax: number;
}): RequestQueue<Answer> {
  const { alarms, clock, countMax, bytesMax } = options;
  const entries = new Set<Entry>(); // in the order in which they came
  let bytes = 0; // the sum of the bytes of entries

  return {
    add,
    flush,
    failAll(error) {
      for (const entry of [...entries]) if (take(entry)) entry.reject(error);
    },
    get size() {
      return entries.size;
    },
  };

  async function add(request: QueuedRequest, send: (leftMs: number) => Promise<Answer>) {
    const { command, body, timeoutMs, signal } = request;
    signal?.throwIfAborted();
    if (entries.size >= countMax || bytes + body.length > bytesMax) {
      throw new RangeError(
        `Cannot queue request: ${entries.size} with ${bytes} bytes wait for a login already`,
      );
    }
    return await new Promise<Answer>((resolve, reject) => {
      const fail = (error: unknown) => {
        if (take(entry)) reject(error);
      };
      const onAbort = () => fail(signal?.reason);
      const cancel = alarms.after(timeoutMs, () => fail(new RequestTimeout(command, timeoutMs)));
      signal?.addEventListener("abort", onAbort);
      const entry: Entry = {
        bytes: body.length,
        deadlineMs: clock.monotonic() + timeoutMs,
        send: (leftMs) => void send(leftMs).then(resolve, reject),
        reject,
        release() {
          cancel();
          signal?.removeEventListener("abort", onAbort);
        },
      };
      entries.add(entry);
      bytes += entry.bytes;
    });
  }

  function flush(countMaxNow: number): void {
    const nowMs = clock.monotonic();
    for (const entry of [...entries].slice(0, Math.max(0, countMaxNow))) {
      // A deadline that is over rings within the tick; until then there is a millisecond left.
      if (take(entry)) entry.send(Math.max(1, entry.deadlineMs - nowMs));
    }
  }

  function take(entry: Entry): boolean {
    if (!entries.delete(entry)) return false;
    bytes -= entry.bytes;
    entry.release();
    return true;
  }
}
