/**
 * Seats that a call may have taken although its node has given it up: no answer came in time, or
 * the connection broke. Each is given back by a `leave` with the number of that call, right behind
 * it on the same connection, and again once a connection is there, until Redis has answered.
 */
import type { OnFault, ScriptRunner } from "./redis-registry.ts";
import type { Script } from "./scripts.ts";

/** More are given up: each is a login of one short outage, and its first lease frees it. */
export const owedLeavesMax = 2_000;
const AT_ONCE_MAX = 64;
const PAUSE_MS = 200;

interface Owed {
  readonly key: string;
  readonly args: readonly string[];
  readonly sinceMs: number;
}

export interface OwedLeaves {
  /** Never throws. The script leaves a seat alone that was not taken, or confirmed since. */
  owe(key: string, args: readonly string[]): void;
  readonly size: number;
}

export function createOwedLeaves(options: {
  readonly redis: ScriptRunner;
  readonly leave: Script;
  /** By then the seat has lapsed by itself. */
  readonly validMs: number;
  readonly onFault: OnFault;
}): OwedLeaves {
  const { redis, leave, validMs, onFault } = options;
  const waiting: Owed[] = []; // the oldest first
  let underWay = 0;
  let timer: ReturnType<typeof setTimeout> | null = null;

  return {
    owe(key, args) {
      if (waiting.length + underWay >= owedLeavesMax) {
        onFault("leave", new Error(`Cannot owe more than ${owedLeavesMax} seats`));
        return;
      }
      // In the turn of the call's failure: nothing else may stand between the two.
      void give({ key, args, sinceMs: performance.now() });
    },
    get size() {
      return waiting.length + underWay;
    },
  };

  async function give(owed: Owed): Promise<void> {
    underWay++;
    try {
      await redis.run(leave, [owed.key], owed.args);
    } catch {
      // Whoever waited for the call was told; a script that fails here fails for everyone.
      waiting.push(owed);
      if (timer === null) timer = later();
    } finally {
      underWay--;
    }
  }

  function later(): ReturnType<typeof setTimeout> {
    const next = setTimeout(() => {
      timer = null;
      const nowMs = performance.now();
      const due = waiting.splice(0, AT_ONCE_MAX);
      for (const owed of due) if (nowMs - owed.sinceMs < validMs) void give(owed);
      if (waiting.length > 0 && timer === null) timer = later();
    }, PAUSE_MS);
    next.unref();
    return next;
  }
}
