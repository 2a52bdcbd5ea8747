/**
 * Requests that wait for their answers, by id. Each is settled exactly once: by its response, its
 * deadline, its caller's signal, or the loss of the connection.
 */
import type { Response } from "@holdfast/protocol";
import type { Alarms } from "./alarms.ts";
import { RequestTimeout } from "./errors.ts";

const requestIdMax = 0xffff_ffff;

export interface PendingOptions {
  readonly command: number;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /**
   * Called as soon as the response is here, before anything that came behind it is read. What it
   * throws becomes the outcome of the request.
   */
  readonly onResponse?: ((response: Response) => void) | undefined;
}

export interface PendingRequests {
  /** Ids go up from 1, start over after 2^32 - 1, and pass over those in use. [§5.8] */
  add(options: PendingOptions): { readonly id: number; readonly response: Promise<Response> };
  /** It was never sent: its promise stays unsettled, and its id is free. */
  forget(id: number): void;
  /** A response that nobody waits for is ignored. [§5.8] */
  answer(response: Response): void;
  failAll(error: Error): void;
  readonly size: number;
}

interface Entry {
  readonly options: PendingOptions;
  readonly resolve: (response: Response) => void;
  readonly reject: (error: unknown) => void;
  readonly release: () => void;
}

export function createPendingRequests(options: {
  readonly alarms: Alarms;
  readonly lastId?: number;
}): PendingRequests {
  const entries = new Map<number, Entry>();
  let lastId = options.lastId ?? 0;

  return {
    add,
    forget: (id) => void take(id),
    answer,
    failAll,
    get size() {
      return entries.size;
    },
  };

  function add(pending: PendingOptions) {
    const id = nextId();
    const { command, timeoutMs, signal } = pending;
    const response = new Promise<Response>((resolve, reject) => {
      const onAbort = () => take(id)?.reject(signal?.reason);
      const cancelAlarm = options.alarms.after(timeoutMs, () => {
        take(id)?.reject(new RequestTimeout(command, timeoutMs));
      });
      signal?.addEventListener("abort", onAbort);
      const release = () => {
        cancelAlarm();
        signal?.removeEventListener("abort", onAbort);
      };
      entries.set(id, { options: pending, resolve, reject, release });
    });
    return { id, response };
  }

  function nextId(): number {
    // Ends: the caller bounds how many are in use, far below 2^32.
    do lastId = lastId >= requestIdMax ? 1 : lastId + 1;
    while (entries.has(lastId));
    return lastId;
  }

  function answer(response: Response): void {
    const waiting = entries.get(response.requestId);
    if (waiting === undefined || waiting.options.command !== response.command) return;
    take(response.requestId);
    try {
      waiting.options.onResponse?.(response);
      waiting.resolve(response);
    } catch (error) {
      waiting.reject(error);
    }
  }

  function failAll(error: Error): void {
    for (const id of [...entries.keys()]) take(id)?.reject(error);
  }

  function take(id: number): Entry | undefined {
    const entry = entries.get(id);
    entries.delete(id);
    entry?.release();
    return entry;
  }
}
