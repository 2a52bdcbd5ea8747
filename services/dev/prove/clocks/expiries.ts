/**
 * Tokens and sessions that run out while clocks are set: before that each is good, after it none
 * is, and clients are told the right time, whichever edge they ask. Redis is on this machine, so
 * this process knows its time.
 */
import { Status } from "@holdfast/protocol";
import type { Lab } from "../lab.ts";
import type { Trial } from "../scenario.ts";
import type { Entry, Visit } from "../visit.ts";

const kinds = ["token", "session"] as const;

export interface Expiries {
  /**
   * Issues tokens and opens sessions on each transport of each edge. Half of them are tried
   * before their life ends, half after it.
   */
  begin(prefix: string): Promise<void>;
  /** Resolves when all that began have been tried. */
  end(): Promise<void>;
  tell(trial: Trial): void;
}

/** `nearMs`: how long before its end, or after it, each is tried. */
export function createExpiries(
  lab: Lab,
  { lifeMs, nearMs }: { readonly lifeMs: number; readonly nearMs: number },
): Expiries {
  const wrong: string[] = [];
  const offMs: number[] = []; // of what clients were told
  const begun: Promise<void>[] = [];
  let decided = 0; // whatever was asked in time and answered too late says nothing

  return {
    async begin(prefix) {
      for (const [index, url] of lab.urls.entries()) {
        for (const kind of kinds) {
          await start(`${prefix} ${index} ${kind} early`, { url, kind, afterMs: lifeMs - nearMs });
          await start(`${prefix} ${index} ${kind} late`, { url, kind, afterMs: lifeMs + nearMs });
        }
      }
    },
    end: async () => void (await Promise.all(begun.splice(0))),
    tell({ measure, log }) {
      for (const words of wrong.slice(0, 5)) log(words);
      const what = "tokens and sessions that ended early or late by the clock of Redis";
      const note = `${decided} of them, tried ${nearMs} ms before and after`;
      measure({ promise: 2, what, exactly: 0, measured: wrong.length, note });
      const told = "expiry as clients are told, off by at most";
      measure({ promise: 2, what: told, atMost: 1000, measured: Math.max(...offMs), unit: "ms" });
    },
  };

  /** Resolves once it is issued; it is tried later. */
  async function start(account: string, way: Way): Promise<void> {
    const fromMs = Date.now();
    const ticket = way.kind === "token" ? await newToken(account) : await open(account, way.url);
    if (ticket === null) return;
    const tillMs = Date.now() + lifeMs;
    begun.push(tryOut(account, { ...way, ticket, endsMs: [fromMs + lifeMs, tillMs] }));
  }

  async function tryOut(account: string, { url, ticket, afterMs, endsMs }: Begun): Promise<void> {
    await Bun.sleep(afterMs);
    const askedMs = Date.now();
    const visit = await lab.enter({ url, account, ...ticket }).catch(String);
    const told = typeof visit === "string" ? visit : visit.status;
    if (typeof visit !== "string") lab.leave(visit);
    const isGood = Date.now() < endsMs[0];
    const isOver = askedMs > endsMs[1] + 1; // Redis rounds to whole milliseconds
    if (!isGood && !isOver) return;
    decided++;
    const expected = isGood ? Status.success : Status.unauthenticated;
    if (told !== expected) wrong.push(`${account} at ${url} got ${told}`);
  }

  async function newToken(account: string): Promise<Ticket> {
    const identity = { account, seatsMax: 1, policy: "displace", metadata: {} } as const;
    return { token: (await lab.registry.issue(identity, lifeMs)).token };
  }

  async function open(account: string, url: string): Promise<Ticket | null> {
    const visit: Visit | string = await lab.enter({ url, account }).catch(String);
    if (typeof visit === "string" || visit.login === null) {
      wrong.push(`${account} at ${url} was not let in`);
      return null;
    }
    offMs.push(Math.abs(visit.login.expiresAtMs - Date.now() - lifeMs));
    lab.leave(visit);
    return { sessionId: visit.login.sessionId };
  }
}

interface Way {
  readonly url: string;
  readonly kind: (typeof kinds)[number];
  readonly afterMs: number;
}

type Ticket = Pick<Entry, "token" | "sessionId">;

interface Begun extends Way {
  readonly ticket: Ticket;
  /** Between the two. */
  readonly endsMs: readonly [number, number];
}
