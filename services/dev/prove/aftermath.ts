/** What is asked after every run of random load, and what must be true once everybody has left. */
import { type Ground, metric, onlineOf, until } from "./ground.ts";
import type { Load } from "./load.ts";
import { check, closeCodes, type Recorder } from "./recorder.ts";

export interface Aftermath {
  /** Empty when everything held: promises broken, answers nobody expected, seats too many. */
  readonly broken: readonly string[];
  /** Close codes and reasons other than that somebody newer came. */
  readonly told: readonly string[];
}

/** The load must have settled, and the cluster have had its time. */
export async function aftermathOf(run: {
  readonly cluster: Ground;
  readonly load: Load;
  readonly recorder: Recorder;
  readonly overlapMs: number;
}): Promise<Aftermath> {
  const { load, recorder } = run;
  // Of all accounts there were: one that nobody is connected to may have no seat either.
  const told = await onlineOf(run.cluster, recorder.views);
  const open = load.open.length;
  const { broken, overlapsMs } = check(recorder.views, run.overlapMs);
  const codes = closeCodes(recorder.views);
  const longestMs = Math.round(overlapsMs.at(-1) ?? 0);
  process.stderr.write(`${JSON.stringify({ ...load.counts, codes, longestMs })}\n`);
  const seats =
    open === told ? [] : [`${open} connections are open, the registry tells of ${told}`];
  const isNews = (code: string) => /^\d/.test(code) && !code.startsWith("6 ");
  return {
    broken: [...broken, ...load.surprises, ...seats],
    told: Object.keys(codes).filter(isNews),
  };
}

/** Everybody leaves: seats are given back, and each connection is counted closed once. [I5] [I7] */
export async function leaveAll(cluster: Ground, load: Load | null): Promise<void> {
  await load?.leave();
  const total = (name: string) => metric(cluster, name);
  await until("all connections to end", async () => (await total("holdfast_connections")) === 0);
  await until("all seats to be left", async () => (await total("holdfast_logins_owned")) === 0);
  const opened = await total("holdfast_connections_opened_total");
  const closed = await total("holdfast_closes_total");
  if (opened !== closed) throw new Error(`${opened} connections opened, ${closed} counted closed`);
  const exceptions = await total("holdfast_exceptions_total");
  if (exceptions > 0) throw new Error(`${exceptions} internal errors were counted`);
}
