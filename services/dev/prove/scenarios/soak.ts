/**
 * Promise 10: a cluster under churn for as long as one likes (`SOAK_MINUTES`), looked at every few
 * seconds. What grows is told as a slope; what must be nothing in the end is looked at one by one.
 */
import { freePort } from "@holdfast/servers";
import { until } from "../ground.ts";
import type { Lab } from "../lab.ts";
import type { Scenario, Trial } from "../scenario.ts";
import { startChurn } from "../soak/churn.ts";
import { lineThrough, type Point, troughs, withoutWarmUp } from "../soak/line.ts";
import { gauges, keysOf, type Sample, sampleEdge, subscriptionsOf } from "../soak/samples.ts";

const promise = 10;
const mebibyte = 1024 * 1024;
const warmUpPart = 0.3;
const firstMs = 10_000;
/** For so long an edge goes on hearing a topic that its last member has left. */
const keepTopicMs = 5_000;
/** Of so many samples the lowest counts: garbage comes and goes between them. */
const window = 5;
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
    const minutes = asked > 0 ? asked : trial.count({ short: 1, long: 10 });
    const monitor = await freePort();
    const lab = await trial.lab({ settings, natsArgs: ["--http_port", String(monitor)] });
    const empty = await look(lab, monitor);
    // What a node makes when it is first asked for it, it keeps: an inbox, a log, a pool.
    const first = await startChurn(lab, trial.seed + 1);
    await Bun.sleep(firstMs);
    await first.stop();
    const before = { ...(await quiet(lab, monitor)), keys: empty.keys };
    const churn = await startChurn(lab, trial.seed);
    const samples = await watch(trial, lab, monitor, minutes * 60_000);
    await churn.stop();
    trial.log(JSON.stringify(churn.counts));
    for (const surprise of churn.surprises.slice(0, 5)) trial.log(surprise);

    const { length } = churn.surprises;
    trial.measure({ promise, what: "answers nobody expected", exactly: 0, measured: length });
    tellSlopes(trial, samples, minutes);
    await tellRest(trial, lab, monitor, before);
  },
};

interface Look {
  readonly atMs: number;
  /** Of the edges that live through it all. */
  readonly edges: readonly (Sample | null)[];
  readonly keys: number;
  readonly subscriptions: number;
}

async function look(lab: Lab, monitor: number): Promise<Look> {
  const [redis] = lab.servers.redis;
  const [keys, subscriptions, ...edges] = await Promise.all([
    keysOf(redis!), // there is one
    subscriptionsOf(monitor),
    ...lab.edges.slice(0, 2).map(sampleEdge),
  ]);
  return { atMs: performance.now(), edges, keys, subscriptions };
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
  await until("the first round to be over", isQuiet, 60_000);
  return last;
}

async function watch(
  trial: Trial,
  lab: Lab,
  monitor: number,
  forMs: number,
): Promise<readonly Look[]> {
  const looks: Look[] = [];
  const [startMs, everyMs] = [performance.now(), Math.min(5000, forMs / 60)];
  for (let told = 0; performance.now() - startMs < forMs; ) {
    await Bun.sleep(everyMs);
    const now = await look(lab, monitor);
    looks.push(now);
    if (now.atMs - startMs < told * 60_000) continue;
    told++;
    const of = (name: string) => now.edges.map((sample) => sample?.get(name) ?? 0);
    const memory = of("process_resident_memory_bytes").map((bytes) => Math.round(bytes / mebibyte));
    const heap = of("process_heap_bytes").map((bytes) => Math.round(bytes / mebibyte));
    trial.log(
      `${Math.round((now.atMs - startMs) / 60_000)} min: ${memory} MiB resident, ${heap} heap, ` +
        `${of("process_open_fds")} descriptors, ${of("holdfast_connections")} connections, ` +
        `${now.keys} keys, ${now.subscriptions} subscriptions`,
    );
  }
  return looks;
}

function tellSlopes(trial: Trial, looks: readonly Look[], minutes: number): void {
  const tell = (what: string, points: readonly Point[], unit: string, atMost?: number) => {
    const line = lineThrough(troughs(withoutWarmUp(points, warmUpPart), window));
    const slope = `${line.perHour.toFixed(1)} ${unit} an hour, from ${line.first.toFixed(1)}`;
    const note = `${slope} to ${line.last.toFixed(1)}, ${minutes} minutes`;
    const bound = atMost === undefined ? {} : { atMost };
    trial.measure({
      promise,
      what: `${what}: growth`,
      ...bound,
      measured: line.gained,
      unit,
      note,
    });
  };
  const ofEdge = (index: number, name: string, per: number) =>
    looks.map(({ atMs, edges }) => ({ atMs, value: (edges[index]?.get(name) ?? 0) / per }));
  for (const index of [0, 1]) {
    const name = `edge ${index + 1}`;
    const resident = ofEdge(index, "process_resident_memory_bytes", mebibyte);
    tell(`resident memory of ${name}`, resident, "MiB", 24);
    tell(`heap of ${name}`, ofEdge(index, "process_heap_bytes", mebibyte), "MiB", 8);
    tell(`descriptors of ${name}`, ofEdge(index, "process_open_fds", 1), "fds");
  }
  tell(
    "keys in Redis",
    looks.map(({ atMs, keys }) => ({ atMs, value: keys })),
    "keys",
  );
  tell(
    "subscriptions in NATS",
    looks.map(({ atMs, subscriptions }) => ({ atMs, value: subscriptions })),
    "subscriptions",
  );
}

/** Everybody has left: what is there now is there for nobody. */
async function tellRest(trial: Trial, lab: Lab, monitor: number, before: Look): Promise<void> {
  const patienceMs = 2 * sessionMs + 30_000;
  // Two keys of an account outlive its sessions, and with them the order of its generations.
  const accounts = new Set(lab.recorder.views.map(({ account }) => account)).size + 1;
  let now = await look(lab, monitor);
  const isBack = () =>
    now.keys <= before.keys + 2 * accounts &&
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
  trial.measure({ promise, what: "keys left in Redis", atMost: 2 * accounts, ...keys });
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
