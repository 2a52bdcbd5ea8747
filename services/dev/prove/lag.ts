/** How long the event loops of nodes stand still, as their own histograms tell. */
import type { LabEdge } from "./lab.ts";

/** Of a loop with nothing to do, on a machine of its own. */
export const quietMs = 25;

/** Cumulative counts of one node by upper bound in seconds. */
export type Lag = ReadonlyMap<number, number>;

export async function readLag(edges: readonly LabEdge[]): Promise<readonly Lag[]> {
  return await Promise.all(
    edges.map(async ({ description }) => {
      const text = await (await fetch(`${description.admin}/metrics`)).text();
      const rows = text.matchAll(/^holdfast_event_loop_lag_seconds_bucket\{le="([^"]+)"\} (\d+)/gm);
      return new Map([...rows].map(([, bound, count]) => [Number(bound), Number(count)]));
    }),
  );
}

/** The least bound, in milliseconds, that 99 of 100 samples of all nodes are below. */
export function stallOf(before: readonly Lag[], after: readonly Lag[]): number {
  const since = (bound: number) =>
    after.reduce((sum, lag, index) => {
      return sum + (lag.get(bound) ?? 0) - (before[index]?.get(bound) ?? 0);
    }, 0);
  const bounds = [...(after[0]?.keys() ?? [])].filter(Number.isFinite);
  const all = since(bounds.at(-1) ?? 0); // five seconds: none is beyond
  return 1000 * (bounds.find((bound) => since(bound) >= 0.99 * all) ?? Number.POSITIVE_INFINITY);
}
