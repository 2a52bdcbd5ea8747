/**
 * Which metric moves when a scenario injects its fault: a scenario declares its moves, the trial
 * reads them from the edges' /metrics before and after, and a metric that stood still is a broken
 * finding. fault-table.ts prints them all for operators.
 */
import type { Row } from "./rows.ts";

export interface Move {
  /** What happens, by its row in rows.ts. */
  readonly row: Row;
  /** As an operator would say it, in a few words; the rows of the table have no others. */
  readonly fault: string;
  readonly metric: string;
  /** Text that the labels of its series contain: `found_by="reconcile"`. */
  readonly label?: string;
  /** A gauge that falls, where all others rise. */
  readonly isFall?: boolean;
  /** Its fault is injected in the long form only. */
  readonly isLongOnly?: boolean;
  /** What an operator who sees it move may conclude. */
  readonly tells: string;
}

export interface Watch {
  /** Reads again: a gauge that has come back, or a node that ends, is seen by this only. */
  look(): Promise<void>;
  /** By how much, over all edges, since the watch began; a node that started again began at 0. */
  moved(move: Move): number;
  /** Every series that moved, for whoever looks for one to declare. */
  all(): readonly string[];
}

interface Seen {
  readonly first: number;
  low: number;
  high: number;
}

const answerMs = 2_000; // of an edge; one that stands still is passed over

/** Resolves when each edge that answers has been read once. */
export async function watchMetrics(of: { readonly admins: readonly string[] }): Promise<Watch> {
  const lives = new Map<string, Map<string, Seen>>(); // by address and time of start
  let isFirst = true;
  const watch: Watch = { look, moved, all };
  await look();
  isFirst = false;
  return watch;

  async function look(): Promise<void> {
    await Promise.all(of.admins.map(lookAt));
  }

  async function lookAt(admin: string): Promise<void> {
    const text = await textOf(admin);
    if (text === null) return;
    const start = /^process_start_time_seconds (\S+)/m.exec(text)?.[1] ?? "";
    const life = `${admin} ${start}`;
    const seen = lives.get(life) ?? new Map<string, Seen>();
    lives.set(life, seen);
    for (const [, series = "", told] of text.matchAll(/^([^#\s][^ ]*) (\S+)$/gm)) {
      if (Number.isFinite(Number(told))) note(seen, series, Number(told));
    }
  }

  function note(seen: Map<string, Seen>, series: string, value: number): void {
    const known = seen.get(series);
    if (known === undefined) {
      const first = isFirst ? value : 0;
      seen.set(series, { first, low: Math.min(first, value), high: Math.max(first, value) });
      return;
    }
    known.low = Math.min(known.low, value);
    known.high = Math.max(known.high, value);
  }

  function moved({ metric, label = "", isFall = false }: Move): number {
    let sum = 0;
    for (const seen of lives.values()) {
      for (const [series, { first, low, high }] of seen) {
        if (series !== metric && !series.startsWith(`${metric}{`)) continue;
        if (series.includes(label)) sum += isFall ? first - low : high - first;
      }
    }
    return sum;
  }

  function all(): readonly string[] {
    const series = [...lives.values()].flatMap((seen) => [...seen.keys()]);
    const names = [...new Set(series)].filter((name) => !/_bucket\b|^process_/.test(name));
    return names.sort().flatMap((name) => {
      const rise = moved({ ...nobody, metric: name });
      const fall = moved({ ...nobody, metric: name, isFall: true });
      const words = [...(rise > 0 ? [`+${rise}`] : []), ...(fall > 0 ? [`-${fall}`] : [])];
      return words.length === 0 ? [] : [`${name} ${words.join(" ")}`];
    });
  }
}

const nobody = { row: "D7", fault: "", tells: "" } as const;

async function textOf(admin: string): Promise<string | null> {
  try {
    const signal = AbortSignal.timeout(answerMs);
    return await (await fetch(`${admin}/metrics`, { signal })).text();
  } catch {
    return null;
  }
}

/** `holdfast_duplicate_closes_total{found_by="reconcile"}`, as a query would name it. */
export function nameOf({ metric, label }: Pick<Move, "metric" | "label">): string {
  return label === undefined ? metric : `${metric}{${label}}`;
}
