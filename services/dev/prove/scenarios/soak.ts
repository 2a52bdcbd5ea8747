/**
 * Promise 10: a cluster under churn for as long as one likes (`SOAK_MINUTES`), looked at every few
 * seconds. What grows is told as a slope; what must be nothing in the end is looked at one by one.
 */
import { freePort } from "@holdfast/servers";
import { until } from "../ground.ts";
import type { Lab } from "../lab.ts";
import type { Scenario, Trial } from "../scenario.ts";
import { type Alive, type Collector, createCollector } from "../soak/alive.ts";
import { startChurn } from "../soak/churn.ts";
import { type Look, tellGrowth } from "../soak/growth.ts";
import { type Cost, costOfIdle } from "../soak/idle.ts";
import { lookAtKept, tellKept } from "../soak/kept.ts";
import { gauges, keysOf, sampleEdge, subscriptionsOf } from "../soak/samples.ts";

const promise = 10;
const mebibyte = 1024 * 1024;
const lengths = { short: 0.3, long: 60 };
/** What an engine compiles for such a load, and what its allocators spread, it keeps. */
const warmUpMs = { short: 5000, long: 180_000 };
/** For so long an edge goes on hearing a topic that its last member has left. */
const keepTopicMs = 5_000;
/** Of so many looks one has the second edge collect its garbage first; the first is left alone. */
const collectEvery = 4;
/** Idle connections whose cost is measured before and after. */
const idle = 2000;
/** Sessions are short-lived here: in the end even their records must be gone. */
const sessionMs = 60_000;
/** Two edges live through it all; the third is drained again and again. */
const settings = {
  EDGE_ALLOW_SHORT_TIMERS: "true",
  EDGE_ECHO_COMMANDS: "4-99",
  EDGE_SESSION_TTL_MS: String(sessionMs),
  EDGE_FLAP_DISPLACEMENTS_MAX: "0",
  EDGE_DRAIN_DELAY_MS: "500",
  EDGE_DRAIN_WINDOW_MS: "2000",
  EDGE_DRAIN_GRACE_MS: "1000",
};

export const scenario: Scenario = {
  name: "soak",
  promises: [promise],
  moves: [
    {
      row: "D1",
      fault: "churn for a long time",
      metric: "process_open_fds",
      tells: "descriptors in use; with the same load it must come back to the same number",
    },
  ],
  shows:
    "under churn, pushes, spoiled bytes and drains nothing grows, and in the end all is given back",
  isLongOnly: true,
  async run(trial) {
    const asked = Number(process.env["SOAK_MINUTES"]);
    const minutes = asked > 0 ? asked : lengths[trial.size];
    const collector = createCollector();
    try {
      await soak(trial, collector, minutes);
    } finally {
      collector.stop();
    }
  },
};

async function soak(trial: Trial, collector: Collector, minutes: number): Promise<void> {
  const monitor = await freePort();
  const lab = await trial.lab({
    ...{ settings, natsArgs: ["--http_port", String(monitor)] },
    settingsOf: collector.settingsOf,
  });
  const empty = await look(lab, monitor);
  // What a node makes when it is first asked for it, it keeps: an inbox, a log, a pool.
  await trial.watching(lab, scenario.moves, async () => {
    const first = await startChurn(lab, trial.seed + 1);
    await Bun.sleep(Math.min(warmUpMs[trial.size], (minutes * 60_000) / 4));
    await first.stop();
  });
  const before = { ...(await quiet(lab, monitor)), keys: empty.keys };
  const cost = trial.size === "long" ? await costOfIdle(lab, collector, idle) : null;
  const keptBefore = await lookAtKept(lab, collector);
  const churn = await startChurn(lab, trial.seed);
  const looks = await watch({ trial, lab, monitor, collector }, minutes * 60_000);
  await churn.stop();
  trial.log(JSON.stringify(churn.counts));
  for (const surprise of churn.surprises.slice(0, 5)) trial.log(surprise);

  const { length } = churn.surprises;
  trial.measure({ promise, what: "answers nobody expected", exactly: 0, measured: length });
  tellGrowth(trial, looks, minutes);
  if (cost !== null) {
    await quiet(lab, monitor).catch(() => {}); // what is left then is told below
    tellCost(trial, cost, await costOfIdle(lab, collector, idle));
  }
  await tellRest(trial, lab, monitor, before);
  tellKept(trial, keptBefore, await lookAtKept(lab, collector));
}

async function look(lab: Lab, monitor: number): Promise<Look> {
  const [redis] = lab.servers.redis;
  const [keys, subscriptions, ...edges] = await Promise.all([
    keysOf(redis!), // there is one
    subscriptionsOf(monitor),
    ...lab.edges.slice(0, 2).map(sampleEdge),
  ]);
  return { atMs: performance.now(), edges, alive: null, keys, subscriptions };
}

/** Nobody is there, and topics that nobody is in any more are no longer heard. */
async function quiet(lab: Lab, monitor: number): Promise<Look> {
  let last = await look(lab, monitor);
  let sinceMs = last.atMs;
  const isQuiet = async () => {
    const now = await look(lab, monitor);
    if (leftIn(now) > 0 || now.subscriptions !== last.subscriptions) sinceMs = now.atMs;
    last = now;
    return now.atMs - sinceMs > keepTopicMs + 3000;
  };
  await until("everybody to be gone", isQuiet, 60_000);
  return last;
}

async function watch(
  on: { trial: Trial; lab: Lab; monitor: number; collector: Collector },
  forMs: number,
): Promise<readonly Look[]> {
  const { trial, lab, monitor, collector } = on;
  const looks: Look[] = [];
  const [startMs, everyMs] = [performance.now(), Math.min(5000, forMs / 60)];
  for (let told = 0; performance.now() - startMs < forMs; ) {
    await Bun.sleep(startMs + (looks.length + 1) * everyMs - performance.now());
    const isCollected = looks.length % collectEvery === 0;
    const alive = isCollected ? await collector.collect(lab.edges[1]!, 1) : null; // there are three
    const now = { ...(await look(lab, monitor)), alive };
    looks.push(now);
    if (now.atMs - startMs < told * 60_000 || alive === null) continue;
    told++;
    trial.log(`${Math.round((now.atMs - startMs) / 60_000)} min: ${wordsOf(now, alive)}`);
  }
  return looks;
}

function wordsOf({ edges, keys, subscriptions }: Look, { bytes, objectBytes }: Alive): string {
  const of = (name: string) => edges.map((sample) => sample?.get(name) ?? 0);
  const memory = of("process_resident_memory_bytes").map((each) => (each / mebibyte).toFixed(0));
  const alive = [bytes, objectBytes].map((each) => (each / mebibyte).toFixed(2));
  return (
    `${memory} MiB resident, ${alive[0]} alive, ${alive[1]} of objects, ` +
    `${of("process_open_fds")} descriptors, ${of("holdfast_connections")} connections, ` +
    `${keys} keys, ${subscriptions} subscriptions`
  );
}

function tellCost(trial: Trial, before: Cost, after: Cost): void {
  const note = (what: keyof Cost) => `${Math.round(before[what])} bytes before, ${idle} of them`;
  const resident = { measured: Math.round(after.resident), unit: "bytes", note: note("resident") };
  const objects = { measured: after.objects / before.objects, note: note("objects") };
  const what = "objects of an idle connection, of what they were before";
  trial.measure({ promise, what, atMost: 1.1, atLeast: 0.9, ...objects });
  trial.measure({ promise, what: "an idle connection, resident", ...resident });
}

/** Everybody has left: what is there now is there for nobody. */
async function tellRest(trial: Trial, lab: Lab, monitor: number, before: Look): Promise<void> {
  const patienceMs = 2 * sessionMs + 30_000;
  // Two keys of an account outlive its sessions, and with them the order of its generations.
  const accounts = new Set(lab.recorder.views.map(({ account }) => account)).size + 1;
  let now = await look(lab, monitor);
  const isLong = trial.size === "long"; // the short form does not wait for sessions to lapse
  const isBack = () =>
    (now.keys <= before.keys + 2 * accounts || !isLong) &&
    now.subscriptions <= before.subscriptions &&
    leftIn(now) === 0 &&
    moreFds(now, before) <= 0;
  const settled = async () => {
    now = await look(lab, monitor);
    return isBack();
  };
  lab.leaveAll();
  await until("all to be given back", settled, patienceMs).catch(() => {});

  const keys = { measured: now.keys - before.keys, note: `${accounts} accounts` };
  const most = isLong ? { atMost: 2 * accounts } : {};
  trial.measure({ promise, what: "keys left in Redis", ...most, ...keys });
  const subscriptions = now.subscriptions - before.subscriptions;
  const told = { measured: subscriptions, note: `${before.subscriptions} before` };
  trial.measure({ promise, what: "subscriptions left in NATS", atMost: 0, ...told });
  const fds = moreFds(now, before);
  trial.measure({ promise, what: "descriptors left", atMost: 0, measured: fds });
  const left = { measured: leftIn(now), note: gauges.map((name) => name.slice(9)).join(", ") };
  trial.measure({ promise, what: "left in the gauges of the edges", exactly: 0, ...left });
}

function leftIn({ edges }: Look): number {
  return gauges.reduce(
    (sum, name) => sum + edges.reduce((all, sample) => all + (sample?.get(name) ?? 0), 0),
    0,
  );
}

function moreFds(now: Look, before: Look): number {
  const of = ({ edges }: Look) =>
    edges.reduce((sum, sample) => sum + (sample?.get("process_open_fds") ?? 0), 0);
  return of(now) - of(before);
}
