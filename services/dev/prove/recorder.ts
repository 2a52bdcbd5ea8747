/**
 * What every client of a scenario saw of its connections, and a checker that proves from it what
 * must always hold. All clients live in one process, so one monotonic clock orders everything.
 */
import type { WireClosed } from "@holdfast/client/wire";

/** One connection as its client saw it. Times are monotonic milliseconds; null: it never came. */
export interface View {
  readonly account: string;
  readonly limit: number;
  readonly url: string;
  readonly kind: "auth" | "reconnect";
  /** The token of an Auth; empty for a Reconnect. */
  token: string;
  readonly askedMs: number;
  answeredMs: number | null;
  status: number | null;
  /** The part of the session id that stays the same for the life of the session. */
  sid: string;
  endedMs: number | null;
  closed: WireClosed | null;
  /** True when this client ended it, or went away. */
  isLeft: boolean;
  asked: number;
  answered: number;
  /** Responses that nobody had asked for, or that came twice. */
  surplus: number;
}

export interface Recorder {
  readonly views: readonly View[];
  opened(about: Pick<View, "account" | "limit" | "url" | "kind" | "token">): View;
  /** A login's answer; the session id where it was accepted. */
  decided(view: View, status: number, sessionId: string | null): void;
  /** Once; later calls are of no account. */
  ended(view: View, closed: WireClosed | null): void;
}

export function createRecorder(): Recorder {
  const views: View[] = [];

  return {
    views,
    opened(about) {
      const view: View = {
        ...about,
        askedMs: performance.now(),
        answeredMs: null,
        status: null,
        sid: "",
        endedMs: null,
        closed: null,
        isLeft: false,
        asked: 0,
        answered: 0,
        surplus: 0,
      };
      views.push(view);
      return view;
    },
    decided(view, status, sessionId) {
      view.status = status;
      if (sessionId === null) return;
      view.answeredMs = performance.now();
      view.sid = sessionId.split(".").slice(0, 2).join(".");
    },
    ended(view, closed) {
      view.endedMs ??= performance.now();
      view.closed ??= closed;
    },
  };
}

export interface Verdict {
  /** Empty when everything held. */
  readonly broken: readonly string[];
  /** Milliseconds that connections were answered beyond their limit, the longest last. */
  readonly overlapsMs: readonly number[];
}

/**
 * Proves [I1] [I2] [I3] [I4] from the clients' side. `overlapMs`: how long an older connection may
 * outlive the answer of the one that took its place, at all times or by when that answer came.
 */
export function check(
  views: readonly View[],
  overlapMs: number | ((atMs: number) => number),
): Verdict {
  const boundAt = typeof overlapMs === "number" ? () => overlapMs : overlapMs;
  const found = [
    ...overlaps(views, (view) => ({ key: view.account, limit: view.limit })),
    ...overlaps(views, (view) => ({ key: view.sid, limit: 1 })),
  ].sort((left, right) => left.forMs - right.forMs);
  const longest = found.findLast(({ atMs, forMs }) => forMs > boundAt(atMs));
  return {
    overlapsMs: found.map(({ forMs }) => forMs),
    broken: [
      ...tokensTwice(views),
      ...views.flatMap(brokenBy),
      ...(longest === undefined
        ? []
        : [`connections beyond the limit were served for ${Math.round(longest.forMs)} ms`]),
    ],
  };
}

function brokenBy(view: View): string[] {
  const who = `${view.kind} of ${view.account} at ${view.url}`;
  const found: string[] = [];
  const after = view.closed?.bytesAfterClose ?? 0;
  if (after > 0) found.push(`${after} bytes came after the Close of ${who}`);
  if (view.surplus > 0) found.push(`${view.surplus} responses too many came to ${who}`);
  // A connection that ended owes nothing; one that stands has answered all. [I4]
  if (view.endedMs === null && view.answered < view.asked) {
    found.push(`${view.asked - view.answered} requests were left unanswered by ${who}`);
  }
  return found;
}

function tokensTwice(views: readonly View[]): string[] {
  const accepted = new Map<string, number>();
  for (const { token, answeredMs } of views) {
    if (token !== "" && answeredMs !== null) accepted.set(token, (accepted.get(token) ?? 0) + 1);
  }
  return [...accepted.values()]
    .filter((count) => count > 1)
    .map((count) => `a token opened ${count} sessions`);
}

interface Overlap {
  /** When the newer connection was answered. */
  readonly atMs: number;
  readonly forMs: number;
}

/**
 * For each connection beyond the limit: how long it outlived the answer of the newest that the
 * limit allows beside it. A connection that was told Close, or has ended, is served no more.
 */
function overlaps(
  views: readonly View[],
  groupOf: (view: View) => { readonly key: string; readonly limit: number },
): Overlap[] {
  const groups = Map.groupBy(
    views.filter((view) => view.answeredMs !== null),
    (view) => groupOf(view).key,
  );
  return [...groups.values()].flatMap((group) => {
    const { limit } = groupOf(group[0]!); // a group is never empty
    return overlapsOf(group, limit);
  });
}

/** In the order of their answers; of those that came before only the ones that stand are kept. */
function overlapsOf(group: readonly View[], limit: number): Overlap[] {
  const inOrder = group.toSorted((left, right) => left.answeredMs! - right.answeredMs!);
  let standing: View[] = [];
  let next = 0;
  return inOrder.flatMap((newer) => {
    const atMs = newer.answeredMs!; // only answered ones are in a group
    for (; next < inOrder.length && inOrder[next]!.answeredMs! <= atMs; next++) {
      standing.push(inOrder[next]!);
    }
    standing = standing.filter((view) => endOf(view) > atMs);
    return excess(standing, atMs, limit);
  });
}

/**
 * With the newer one's answer its account may be over its limit: then the first of those that were
 * there, in the order in which they end, have outlived it by that long.
 */
function excess(standing: readonly View[], atMs: number, limit: number): Overlap[] {
  const surplus = standing.length - limit;
  if (surplus <= 0) return [];
  const ends = standing.map(endOf).sort((left, right) => left - right);
  return ends.slice(0, surplus).map((endMs) => ({ atMs, forMs: endMs - atMs }));
}

function endOf(view: View): number {
  return view.endedMs ?? Number.POSITIVE_INFINITY;
}
