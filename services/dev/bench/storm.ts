/**
 * A storm: BENCH_CONNECTIONS (default 8,000) clients connect at once, and log in, as fast as the
 * node lets them in: BENCH_LOGIN_RATE (default 0, no limit) a second. Time from the
 * first connect until the last one is answered, beside a bare Bun server that answers the same
 * bytes without a login. Method: one edge on core 0, real Redis and NATS and this load on core 1,
 * fresh accounts in every round, cases in turns, medians over BENCH_ROUNDS (default 5); "lag" is
 * the least bucket of the edge's own event loop lag that 99 % of the storm's samples are below.
 */
import { disperse, gather, type TransportName } from "./crowd.ts";
import { cpuUs, median, row } from "./gauge.ts";
import { openStage } from "./stage.ts";

const count = Number(process.env["BENCH_CONNECTIONS"] ?? 8000);
const rounds = Number(process.env["BENCH_ROUNDS"] ?? 5);
const lagMetric = "holdfast_event_loop_lag_seconds_bucket";

interface Case {
  readonly transport: TransportName;
  readonly isBare: boolean;
  readonly tookMs: number[];
  readonly us: number[];
  readonly lags: string[];
}

const cases: readonly Case[] = (["tcp", "ws"] as const).flatMap((transport) =>
  [true, false].map((isBare) => ({ transport, isBare, tookMs: [], us: [], lags: [] })),
);

const stage = await openStage();
try {
  for (let round = 0; round < rounds; round++) for (const each of cases) await measure(each);
  const lines = cases.map(({ transport, isBare, tookMs, us, lags }) => {
    const took = median(tookMs);
    const spread = `${Math.min(...tookMs).toFixed(0)}-${Math.max(...tookMs).toFixed(0)}`;
    const figures = [took.toFixed(0), spread, ((count / took) * 1000).toFixed(0)];
    const name = `${transport} ${isBare ? "bare" : "edge"}`;
    return row([name, ...figures, median(us).toFixed(1), lags.toSorted().at(-1) ?? "-"]);
  });
  const head = row([
    `${count} at once, ${rounds} rounds`,
    "ms",
    "range",
    "a second",
    "us",
    "lag s",
  ]);
  process.stdout.write(`${[head, ...lines].join("\n")}\n`);
} finally {
  await stage.stop();
}

async function measure({ transport, isBare, tookMs, us, lags }: Case): Promise<void> {
  const tokens = isBare ? null : await stage.issue(count);
  const place = isBare ? stage.bare : stage.edge;
  const port = transport === "tcp" ? place.tcpPort : place.wsPort;
  await Bun.sleep(500); // what came before has settled
  const lagBefore = isBare ? null : await readLag();
  const startedUs = cpuUs(place.pid);
  const startedMs = performance.now();
  const crowd = await gather({ transport, port, count, tokens });
  tookMs.push(performance.now() - startedMs);
  us.push((cpuUs(place.pid) - startedUs) / count);
  if (lagBefore !== null) lags.push(lagBetween(lagBefore, await readLag()));
  disperse(crowd);
  await Bun.sleep(2500); // their seats are given back
}

/** Cumulative counts by upper bound. */
async function readLag(): Promise<ReadonlyMap<string, number>> {
  await Bun.sleep(250); // the last sample of the lag is in
  const text = await (await fetch(`${stage.edgeAdmin}/metrics`)).text();
  const rows = text.split("\n").filter((line) => line.startsWith(lagMetric));
  return new Map(
    rows.map((line) => [/le="([^"]+)"/.exec(line)?.[1] ?? "", Number(line.split(" ")[1])]),
  );
}

function lagBetween(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): string {
  const samples = (bound: string) => (after.get(bound) ?? 0) - (before.get(bound) ?? 0);
  const all = samples("+Inf");
  return [...after.keys()].find((bound) => samples(bound) >= 0.99 * all) ?? "-";
}
