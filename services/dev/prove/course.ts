/**
 * The course of a run, beside its findings: what was done to the lab, what clients saw of it, and
 * what it cost the nodes. For whoever wants to know how a number came about.
 */
import { closeCodeNames } from "@holdfast/protocol";
import type { Curve } from "./curves.ts";
import type { Entry } from "./diary.ts";
import { quantile } from "./figures.ts";
import type { View } from "./recorder.ts";

export interface Course {
  /** Milliseconds since the scenario began, and what was done. */
  readonly faults: readonly { readonly atMs: number; readonly what: string }[];
  /** Of clients that are recorded. */
  readonly connections: number;
  readonly tokensUsed: number;
  readonly resumed: number;
  /** How connections ended, by the Close that they got; "client": of its own wish. */
  readonly closes: Readonly<Record<string, number>>;
  /** How long connections were served beyond their limit. */
  readonly overlapsMs: Spread | null;
  /** From a session's loss of its connection until it had one again. */
  readonly gapsMs: Spread | null;
  readonly nodes: readonly Curve[];
}

export interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}

const faultsMax = 400;

export function courseOf(seen: {
  readonly startedMs: number;
  readonly entries: readonly Entry[];
  readonly views: readonly View[];
  readonly overlapsMs: readonly number[];
  readonly nodes: readonly Curve[];
}): Course {
  const { startedMs, entries, views, overlapsMs, nodes } = seen;
  const accepted = views.filter(({ answeredMs }) => answeredMs !== null);
  const byTime = entries.toSorted((left, right) => left.atMs - right.atMs);
  return {
    faults: byTime.slice(0, faultsMax).map(({ atMs, what }) => {
      return { atMs: Math.round(atMs - startedMs), what };
    }),
    connections: views.length,
    tokensUsed: accepted.filter(({ kind }) => kind === "auth").length,
    resumed: accepted.filter(({ kind }) => kind === "reconnect").length,
    closes: closesOf(accepted),
    overlapsMs: spreadOf(overlapsMs),
    gapsMs: spreadOf(gapsOf(accepted)),
    nodes,
  };
}

function closesOf(views: readonly View[]): Record<string, number> {
  const closes: Record<string, number> = {};
  for (const view of views) {
    if (view.endedMs === null) continue;
    const word = wordOf(view);
    closes[word] = (closes[word] ?? 0) + 1;
  }
  return closes;
}

function wordOf({ isLeft, closed }: View): string {
  if (closed?.closePush) return closeCodeNames[closed.closePush.code] ?? "unknown";
  return isLeft ? "client" : (closed?.how ?? "client");
}

/** Whoever displaces a connection of the same session does so while it stands: no gap. */
function gapsOf(views: readonly View[]): readonly number[] {
  const sessions = Map.groupBy(views, ({ sid }) => sid);
  return [...sessions.values()].flatMap((session) => {
    const inOrder = session.toSorted((left, right) => left.answeredMs! - right.answeredMs!);
    return inOrder.flatMap((view, index) => {
      const back = inOrder[index + 1]?.answeredMs ?? null;
      const isGap = view.endedMs !== null && back !== null && back >= view.endedMs;
      return isGap ? [back - view.endedMs!] : [];
    });
  });
}

function spreadOf(values: readonly number[]): Spread | null {
  if (values.length === 0) return null;
  const of = (share: number) => Math.round(10 * quantile(values, share)) / 10;
  return { count: values.length, p50: of(0.5), p99: of(0.99), most: of(1) };
}
