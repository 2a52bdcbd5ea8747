/**
 * Promise 6: nodes die, and their clients come to the others as the public ones do, at once and
 * then every 1 or 2 s, without jitter. The others let them in at their rate, and serve whoever was
 * theirs before.
 */
import { judgeNeighbours } from "../fairness.ts";
import { quantile, spread } from "../figures.ts";
import { until } from "../ground.ts";
import type { Lab, LabEdge } from "../lab.ts";
import { type Lag, quietMs, readLag, stallOf } from "../lag.ts";
import { type PhaseFigures, startNeighbours } from "../neighbours.ts";
import type { Scenario, Trial } from "../scenario.ts";
import type { Sdk } from "../sdk.ts";
import { gatherCrowd, stormOf } from "../storm-crowd.ts";
import { startWork, type Work } from "../work.ts";

const promise = 6;
const pauseMs = 2_000; // of the slower kind of client, before it comes back
const stallMsMax = 100;
/** Of the product, for the wave that leaves them as they are. */
const defaults = { rate: 2_000, burst: 500, inFlightMax: 64 };
/** For storms at which each machine is fast enough: logins a second of each survivor, and so on. */
const paced = {
  short: { rate: 150, burst: 75, inFlightMax: 64 },
  long: { rate: 800, burst: 400, inFlightMax: 64 },
};
const neighboursFactor = 3;

type Pace = typeof defaults;

/** Which of three nodes die at once; where all do they are started again, with nobody there. */
interface Wave {
  readonly name: string;
  readonly dead: 1 | 2 | 3;
  readonly isLongOnly?: boolean;
  /** With the settings of the product. */
  readonly isAsSet?: boolean;
}

const waves: readonly Wave[] = [
  { name: "one of three dies", dead: 1 },
  { name: "one of three dies, default settings", dead: 1, isLongOnly: true, isAsSet: true },
  { name: "two of three die", dead: 2, isLongOnly: true },
  { name: "all start anew", dead: 3, isLongOnly: true },
];

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
    for (const wave of waves) {
      if (trial.size === "short" && wave.isLongOnly) continue;
      const ground = await storm(trial, wave);
      // Not even this process has descriptors for the crowds of two waves.
      if (trial.size === "long") ground.leaveAll();
    }
    if (trial.size === "long") await stormBeside(trial);
  },
};

/** What a storm costs others who are there, with the settings of the product. */
function stormBeside(trial: Trial): Promise<void> {
  const settingsOf = (index: number) => (index === 2 ? letIn : {});
  // As many as each of two survivors gets of the 10,000.
  const attacks = [stormOf(trial.count({ short: 500, long: 5_000 }))];
  const judged = { attacks, rounds: 5, factor: neighboursFactor, stallMsMax };
  return judgeNeighbours(trial, { promise, lab: { edges: 3, settingsOf }, ...judged });
}

/** Those that will die let their own in as they come; what is shown is how the others take them. */
const letIn = { EDGE_LOGIN_RATE: "0" };

async function storm(trial: Trial, { name, dead, isAsSet = false }: Wave): Promise<Lab> {
  const pace = isAsSet ? defaults : paced[trial.size];
  const ground = await trial.lab({
    settingsOf: (index) => ({
      ...(isAsSet ? {} : settingsFor(pace)),
      ...(index < dead && dead < 3 ? letIn : {}),
    }),
  });
  const victims = ground.edges.slice(0, dead);
  const others = dead === 3 ? victims : ground.edges.slice(dead);
  await using neighbours = dead === 3 ? null : await startNeighbours(ground, dead);
  const first = await readLag(others);
  const clients = trial.count({ short: 1500, long: 10_000 });
  const crowd = await gatherCrowd(ground, victims, others, clients);
  const calm = await neighbours?.phase();
  const full = await readLag(others);
  const calmLoopMs = stallOf(first, full);
  const work = await startWork(ground, others);
  const startedMs = performance.now();
  for (const { child } of victims) child.signal("SIGKILL");
  const isNoticed = () => {
    // Where nodes live on the first are back before the last have noticed.
    return dead === 3 ? !crowd.some(({ isOpen }) => isOpen) : !crowd.every(({ isOpen }) => isOpen);
  };
  await until("the clients to notice", isNoticed, 10_000);
  if (dead === 3) await Promise.all(victims.map((edge) => edge.start()));
  // Nobody can come back before somebody is there.
  const readyMs = dead === 3 ? performance.now() : startedMs;
  await until("everybody to be back", () => crowd.every(({ isOpen }) => isOpen), 90_000);
  const tookMs = performance.now() - readyMs;
  const stormy = await neighbours?.phase();
  const before = dead === 3 ? [] : full; // who starts anew counts from nothing
  const seen = { name, calm, stormy, calmLoopMs, before, tookMs, pace, others, crowd };
  tellPace(trial, ground, startedMs, seen);
  await tellWork(trial, name, work);
  await tell(trial, seen);
  await Promise.all(crowd.map((one) => one.stop()));
  await neighbours?.stop();
  return ground;
}

function settingsFor({ rate, burst, inFlightMax }: Pace) {
  return {
    EDGE_LOGIN_RATE: String(rate),
    EDGE_LOGIN_BURST: String(burst),
    EDGE_REDIS_IN_FLIGHT_MAX: String(inFlightMax),
    EDGE_CONNECTIONS_MAX: "12000",
    EDGE_UNAUTHENTICATED_MAX: "12000",
  };
}

/** As the clients saw it: how many were answered by one node within any two seconds. */
function tellPace({ measure }: Trial, lab: Lab, sinceMs: number, seen: Storm): void {
  const { name, others } = seen;
  const { rate, burst } = seen.pace;
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
  const what = `${name}: logins that one node let in within two seconds, at most`;
  // Some more: answers that waited for a busy machine arrive together.
  const atMost = 1.6 * (2 * rate + burst);
  measure({ promise, what, atMost, measured: Math.max(...most), note: `${rate} a second is set` });
}

/** For the record: what the storm asks of the machines. */
async function tellWork({ measure }: Trial, name: string, work: Work): Promise<void> {
  const { cpuPercent, commandsPerSecond, callsPerSecond } = await work.done();
  const cpu = `${name}: CPU of a node meanwhile`;
  measure({ promise, what: cpu, measured: cpuPercent, unit: "% of a core" });
  const note = `${callsPerSecond.toFixed(0)} calls of nodes; what their scripts do counts, too`;
  const commands = `${name}: commands of Redis a second meanwhile`;
  measure({ promise, what: commands, measured: commandsPerSecond, note });
}

interface Storm {
  readonly name: string;
  /** Undefined where no node lived on. */
  readonly calm: PhaseFigures | undefined;
  readonly stormy: PhaseFigures | undefined;
  /** While the crowd came to those that will die: of the loop that has to take them later. */
  readonly calmLoopMs: number;
  /** When they died. */
  readonly before: readonly Lag[];
  readonly tookMs: number;
  readonly pace: Pace;
  readonly others: readonly LabEdge[];
  readonly crowd: readonly Sdk[];
}

async function tell({ measure, log, size }: Trial, storm: Storm): Promise<void> {
  const { name, crowd, others, tookMs, calm, stormy, calmLoopMs } = storm;
  const { rate, inFlightMax } = storm.pace;
  // Where more are let in than a machine can carry, they must not be back any later for it.
  const carried = Math.min(rate, paced[size].rate);
  const idealMs = (crowd.length / (carried * others.length)) * 1000;
  const gapsMs = crowd.flatMap(({ story }) => story.gapsMs);
  // A busy machine may be slower than the short form's small numbers ask for.
  const allowanceMs = size === "long" ? pauseMs : pauseMs + 10_000;
  measure({
    ...{ promise, what: `${name}: everybody is back`, unit: "ms", measured: tookMs },
    atMost: 1.3 * idealMs + allowanceMs,
    note: `${crowd.length} clients at ${rate * others.length} a second, away ${spread(gapsMs)} ms`,
  });
  const surplus = crowd.reduce((sum, { story }) => sum + story.tokens - 1, 0);
  measure({ promise, what: `${name}: sessions lost in the storm`, exactly: 0, measured: surplus });
  const peaks = await Promise.all(
    others.map((edge) => readOne(edge, "holdfast_store_calls_in_flight_peak")),
  );
  // Logins, and as many for all else: seats given back, sessions ended.
  const most = Math.max(...peaks.map((lanes) => lanes.reduce((sum, lane) => sum + lane, 0)));
  const what = `${name}: calls to Redis in flight from one node, at most`;
  measure({ promise, what, atMost: 2 * inFlightMax, measured: most, note: "without renewals" });
  if (calm !== undefined && stormy !== undefined) {
    const { unanswered } = stormy;
    const p99 = `p99 ${calm.p99Ms.toFixed(1)} ms before, ${stormy.p99Ms.toFixed(1)} ms in the storm`;
    const served = `${name}: requests of the others' own clients left unanswered`;
    measure({ promise, what: served, exactly: 0, measured: unanswered, note: p99 });
  }
  const stallMs = stallOf(storm.before, await readLag(others));
  const stall = `${name}: the loop stood still, 99 of 100 samples below`;
  // Where it has to wait for a processor while it has nothing to do, its own work does not show.
  // With the settings of the product two cores are full: `stormBeside` gives the nodes one.
  const isJudged = size === "long" && storm.pace !== defaults && calmLoopMs <= quietMs;
  const bound = isJudged ? { atMost: stallMsMax } : {};
  const busy = `${calmLoopMs} ms before the storm`;
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

/** Every series of the metric. */
async function readOne({ description }: LabEdge, name: string): Promise<readonly number[]> {
  const text = await (await fetch(`${description.admin}/metrics`)).text();
  const rows = text.split("\n").filter((line) => line.startsWith(`${name}{`));
  return rows.map((line) => Number(line.split(" ").at(-1)));
}
