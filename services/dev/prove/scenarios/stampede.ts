/**
 * Promise 6: a node dies, and its clients come to the others as the public ones do, at once and
 * then every 1 or 2 s, without jitter. The others let them in at their rate, and serve whoever was
 * theirs before.
 */
import { quantile, spread } from "../figures.ts";
import { until } from "../ground.ts";
import type { Lab, LabEdge } from "../lab.ts";
import { type Neighbours, startNeighbours } from "../neighbours.ts";
import type { Scenario, Trial } from "../scenario.ts";
import { type Sdk, startSdk } from "../sdk.ts";

const promise = 6;
const inFlightMax = 64;
const pauseMs = 2_000; // of the slower kind of client, before it comes back
const stallMsMax = 100;
const quietMs = 25; // of a loop with nothing to do, on a machine of its own
const rates = { short: 150, long: 800 }; // logins a second of each survivor

export const scenario: Scenario = {
  name: "stampede",
  promises: [promise],
  moves: [
    {
      row: "B6",
      fault: "the clients of a dead node come to the others at once",
      metric: "holdfast_login_admissions_total",
      label: 'outcome="queued"',
      tells: "logins come faster than the rate: they wait their turn",
    },
  ],
  shows:
    "the clients of a node that dies come back at the pace of the others, none loses its session",
  async run(trial) {
    const { lab, count, size } = trial;
    const rate = rates[size];
    const ground = await lab({
      // The victim lets its own in as they come; what is shown is how the others take them.
      settingsOf: (index) => ({
        EDGE_LOGIN_RATE: index === 0 ? "0" : String(rate),
        EDGE_LOGIN_BURST: String(burstOf(rate)),
        EDGE_REDIS_IN_FLIGHT_MAX: String(inFlightMax),
        EDGE_CONNECTIONS_MAX: "12000",
        EDGE_UNAUTHENTICATED_MAX: "12000",
      }),
    });
    const [victim, ...others] = ground.edges;
    if (victim === undefined) return;
    const neighbours = await startNeighbours(ground, 1);
    const first = await readLag(others);
    const crowd = await gather(ground, victim, others, count({ short: 1500, long: 10_000 }));
    const calm = await neighbours.phase();
    const before = await readLag(others);
    const startedMs = performance.now();
    victim.child.signal("SIGKILL");
    await until("the clients to notice", () => !crowd.every(({ isOpen }) => isOpen), 10_000);
    await until("everybody to be back", () => crowd.every(({ isOpen }) => isOpen), 90_000);
    const tookMs = performance.now() - startedMs;
    const storm = { calm, neighbours, first, before, tookMs, rate, others, crowd };
    tellPace(trial, ground, startedMs, storm);
    await tell(trial, storm);
    await Promise.all(crowd.map((one) => one.stop()));
    await neighbours.stop();
  },
};

/** All of them on the victim; from there each goes to one of the others, in turn. */
async function gather(
  lab: Lab,
  victim: LabEdge,
  others: readonly LabEdge[],
  count: number,
): Promise<readonly Sdk[]> {
  let turn = 0;
  const crowd: Sdk[] = [];
  for (let index = 0; index < count; index++) {
    const kind = index % 2 === 0 ? "rust" : "go";
    const place = kind === "go" && index % 4 === 1 ? 0 : 1; // TCP is spoken by Go only
    const pick = () => {
      const edge = victim.child.hasExited() ? others[turn++ % others.length]! : victim; // in bounds
      return edge.urls[place];
    };
    crowd.push(startSdk({ lab, kind, account: `crowd-${index}`, pick }));
    if (index % 100 === 99) {
      await until("the crowd to be in", () => crowd.every(({ isOpen }) => isOpen), 30_000);
    }
  }
  await until("the crowd to be in", () => crowd.every(({ isOpen }) => isOpen), 30_000);
  return crowd;
}

function burstOf(rate: number): number {
  return Math.ceil(rate / 2);
}

/** As the clients saw it: how many were answered by one node within any two seconds. */
function tellPace({ measure }: Trial, lab: Lab, sinceMs: number, { others, rate }: Storm): void {
  const most = others.map(({ urls }) => {
    const mine = lab.recorder.views.filter(({ url }) => urls.includes(url));
    const times = mine.flatMap(({ answeredMs }) => answeredMs ?? []).filter((ms) => ms > sinceMs);
    const sorted = times.sort((left, right) => left - right);
    let from = 0;
    return sorted.reduce((most, ms, at) => {
      while (ms - sorted[from]! >= 2000) from++; // never passes `at`
      return Math.max(most, at - from + 1);
    }, 0);
  });
  const what = "logins that one node let in within two seconds, at most";
  // Some more: answers that waited for a busy machine arrive together.
  const atMost = 1.6 * (2 * rate + burstOf(rate));
  measure({ promise, what, atMost, measured: Math.max(...most), note: `${rate} a second is set` });
}

interface Storm {
  readonly calm: Awaited<ReturnType<Neighbours["phase"]>>;
  readonly neighbours: Neighbours;
  /** When the crowd began to come to the victim, and when that died. */
  readonly first: readonly Lag[];
  readonly before: readonly Lag[];
  readonly tookMs: number;
  readonly rate: number;
  readonly others: readonly LabEdge[];
  readonly crowd: readonly Sdk[];
}

async function tell({ measure, log, size }: Trial, storm: Storm): Promise<void> {
  const { crowd, others, rate, tookMs, calm } = storm;
  const stormy = await storm.neighbours.phase();
  const idealMs = (crowd.length / (rate * others.length)) * 1000;
  const gapsMs = crowd.flatMap(({ story }) => story.gapsMs);
  // A busy machine may be slower than the short form's small numbers ask for.
  const allowanceMs = size === "long" ? pauseMs : pauseMs + 10_000;
  measure({
    ...{ promise, what: "everybody is back after the node died", unit: "ms", measured: tookMs },
    atMost: 1.3 * idealMs + allowanceMs,
    note: `${crowd.length} clients at ${rate * others.length} a second, away ${spread(gapsMs)} ms`,
  });
  const surplus = crowd.reduce((sum, { story }) => sum + story.tokens - 1, 0);
  measure({ promise, what: "sessions lost in the storm", exactly: 0, measured: surplus });
  const peaks = await Promise.all(
    others.map((edge) => readOne(edge, "holdfast_store_calls_in_flight_peak")),
  );
  const what = "calls to Redis in flight from one node, at most";
  measure({ promise, what, atMost: inFlightMax, measured: Math.max(...peaks.flat()) });
  const unanswered = stormy.unanswered;
  const p99 = `p99 ${calm.p99Ms.toFixed(1)} ms before, ${stormy.p99Ms.toFixed(1)} ms in the storm`;
  const served = "requests of the others' own clients left unanswered";
  measure({ promise, what: served, exactly: 0, measured: unanswered, note: p99 });
  const stallMs = stallOf(storm.before, await readLag(others));
  const calmMs = stallOf(storm.first, storm.before);
  const stall = "the loop of the others stood still, 99 of 100 samples below";
  // Where it has to wait for a processor while it has nothing to do, its own work does not show.
  const bound = size === "long" && calmMs <= quietMs ? { atMost: stallMsMax } : {};
  const busy = `${calmMs} ms before the storm`;
  measure({ promise, what: stall, ...bound, measured: stallMs, unit: "ms", note: busy });
  const unopened = crowd.reduce((sum, { story }) => sum + story.unopened, 0);
  const refused = crowd.flatMap(({ story }) => Object.entries(story.refusals));
  const statuses = Map.groupBy(refused, ([status]) => status);
  const told = [...statuses].map(
    ([status, list]) => `${status}: ${list.reduce((sum, [, times]) => sum + times, 0)}`,
  );
  log(`${unopened} connections were refused, logins by status ${told.join(", ") || "none"}`);
  log(`away at most ${(quantile(gapsMs, 1) / 1000).toFixed(1)} s`);
}

/** Cumulative counts of one node by upper bound in seconds. */
type Lag = ReadonlyMap<number, number>;

async function readLag(edges: readonly LabEdge[]): Promise<readonly Lag[]> {
  return await Promise.all(
    edges.map(async ({ description }) => {
      const text = await (await fetch(`${description.admin}/metrics`)).text();
      const rows = text.matchAll(/^holdfast_event_loop_lag_seconds_bucket\{le="([^"]+)"\} (\d+)/gm);
      return new Map([...rows].map(([, bound, count]) => [Number(bound), Number(count)]));
    }),
  );
}

/** The least bound, in milliseconds, that 99 of 100 samples of all nodes are below. */
function stallOf(before: readonly Lag[], after: readonly Lag[]): number {
  const since = (bound: number) =>
    after.reduce((sum, lag, index) => {
      return sum + (lag.get(bound) ?? 0) - (before[index]?.get(bound) ?? 0);
    }, 0);
  const bounds = [...(after[0]?.keys() ?? [])].filter(Number.isFinite);
  const all = since(bounds.at(-1) ?? 0); // five seconds: none is beyond
  return 1000 * (bounds.find((bound) => since(bound) >= 0.99 * all) ?? Number.POSITIVE_INFINITY);
}

/** Every series of the metric. */
async function readOne({ description }: LabEdge, name: string): Promise<readonly number[]> {
  const text = await (await fetch(`${description.admin}/metrics`)).text();
  const rows = text.split("\n").filter((line) => line.startsWith(`${name}{`));
  return rows.map((line) => Number(line.split(" ").at(-1)));
}
