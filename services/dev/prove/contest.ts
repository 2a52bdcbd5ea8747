/** Tokens that many want: each is presented on several connections, until all have an answer. */
import { Status } from "@holdfast/protocol";
import { until } from "./ground.ts";
import type { Lab } from "./lab.ts";
import type { Entry, Visit } from "./visit.ts";

export interface Ticket {
  readonly account: string;
  readonly token: string;
}

export interface Contest {
  /** By token, how often it opened a session. */
  readonly accepts: readonly number[];
  /** Answers by status, the last of each connection. */
  readonly statuses: Readonly<Record<string, number>>;
}

/**
 * Of accounts that nobody else has; the limit leaves room, so that nobody is displaced. Waits for
 * a store that is on its way back.
 */
export async function issueTickets(
  lab: Lab,
  prefix: string,
  count: number,
): Promise<readonly Ticket[]> {
  const issue = (account: string) => lab.issue(account, roomy);
  await until("the store to issue tokens", () => {
    return issue(`${prefix}-first`).then(
      () => true,
      () => false,
    );
  });
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const account = `${prefix}-${index}`;
      return { account, token: await issue(account) };
    }),
  );
}

const roomy = 1000;
const asAll = { limit: roomy, timeoutMs: 20_000 };

export interface ContestOptions {
  /** Called when all are connected, before the first of them asks. */
  readonly begin?: () => unknown;
  /** All wait, between two requests, for as long as they are told to. */
  readonly isPolite?: boolean; // default false
}

/**
 * Presents each ticket at all of its addresses at once. Who is told that the store is away asks
 * again on the same connection, and on another one when that has ended, for `patienceMs`.
 */
export async function contest(
  lab: Lab,
  tickets: readonly Ticket[],
  urlsOf: (index: number) => readonly string[],
  patienceMs: number,
  { begin, isPolite = false }: ContestOptions = {},
): Promise<Contest> {
  const statuses: Record<string, number> = {};
  const started = Promise.withResolvers<void>();
  let expected = tickets.reduce((sum, _, index) => sum + urlsOf(index).length, 0);
  const arrive = () => {
    if (--expected > 0) return;
    begin?.();
    started.resolve();
  };
  const accepts = await Promise.all(
    tickets.map(async (ticket, index) => {
      const visits = await Promise.all(
        urlsOf(index).map((url) => {
          const entry = { ...ticket, ...asAll, url, isPolite };
          return present(lab, entry, patienceMs, { arrive, started: started.promise });
        }),
      );
      for (const visit of visits) {
        const word = visit?.status ?? "no answer";
        statuses[word] = (statuses[word] ?? 0) + 1;
        if (visit?.login === null) visit.wire.reset();
      }
      return visits.filter((visit) => visit?.login != null).length;
    }),
  );
  return { accepts, statuses };
}

/** Null when no connection got an answer in all that time. */
async function present(
  lab: Lab,
  entry: Entry,
  patienceMs: number,
  { arrive, started }: { readonly arrive: () => void; readonly started: Promise<void> },
): Promise<Visit | null> {
  let isThere = false;
  const barrier = () => {
    if (!isThere) arrive();
    isThere = true;
    return started;
  };
  const untilMs = performance.now() + patienceMs;
  let last: Visit | null = null;
  do {
    const left = Math.max(0, untilMs - performance.now());
    const visit = await lab.enter({ ...entry, patienceMs: left, barrier }).catch(() => null);
    await barrier(); // whoever could not even connect
    if (visit !== null) last = visit;
    if (visit?.status != null && visit.status !== Status.internalError) return visit;
    visit?.wire.reset();
    await Bun.sleep(100);
  } while (performance.now() < untilMs);
  return last;
}

export function most(counts: readonly number[]): number {
  return counts.reduce((left, right) => Math.max(left, right), 0);
}

export function countOf(counts: readonly number[], value: number): number {
  return counts.filter((count) => count === value).length;
}
