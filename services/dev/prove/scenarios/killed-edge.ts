/**
 * Promise 4 after kill -9 of a node: its seats are gone from `online`, and told as lapsed, once,
 * without waiting for their leases, and nothing of it is left in Redis. Its sessions go on
 * elsewhere: those of clients that come back at once, and of those that come back much later.
 */
import { quantile } from "../figures.ts";
import { onlineOf, until } from "../ground.ts";
import type { Lab } from "../lab.ts";
import { hearLapses } from "../lapses.ts";
import { nodeIdOf, orphansOf, scansOf } from "../orphans.ts";
import type { Scenario, Trial } from "../scenario.ts";
import { type Sdk, startSdk } from "../sdk.ts";
import type { Visit } from "../visit.ts";

const boundMs = 10_000;
const backMs = { p99: 10_000, max: 20_000 };
const forgottenMs = 60_000;

export const scenario: Scenario = {
  name: "killed-edge",
  promises: [4],
  moves: [
    {
      row: "B2",
      fault: "a node is killed",
      metric: "holdfast_nodes_buried_total",
      label: 'cause="dead"',
      tells: "a node has died, and another one took its seats away",
    },
    {
      row: "A9",
      fault: "a node dies with its seats",
      metric: "holdfast_seats_lapsed_total",
      label: 'cause="dead"',
      tells: "seats of a dead node leave `online`; as many clients come back elsewhere",
    },
  ],
  shows: "the seats of a node that was killed leave `online` at once, and are told once each",
  isLongOnly: true, // the cluster test `fence` has the short form of it
  async run(trial) {
    const { lab, size, count, measure, log } = trial;
    const isShort = size === "short";
    const leaseMs = isShort ? 12_000 : 45_000;
    const ground = await lab({
      settings: isShort
        ? {
            EDGE_ALLOW_SHORT_TIMERS: "true",
            EDGE_LEASE_MS: String(leaseMs),
            EDGE_FIRST_LEASE_MS: "4000",
            EDGE_RENEW_INTERVAL_MS: "1000",
          }
        : {},
    });
    const readyMs = performance.now();
    await using lapses = await hearLapses(ground);
    const each = count({ short: 60, long: 2_000 });
    const mortal = await enterAll(ground, 0, each);
    const others = await enterAll(ground, 1, each);
    // Who has not reached Redis for a whole lease holds nobody for dead.
    const untilMs = readyMs + 1.1 * leaseMs;
    await Bun.sleep(Math.max(isShort ? 1500 : 6000, untilMs - performance.now()));

    const victim = ground.edges[0]!; // there are three
    const redis = ground.servers.redis[0]!; // there is one
    const nodeId = await nodeIdOf(redis, victim.description.node);
    const returning = await startReturning(ground, count({ short: 20, long: 500 }));
    victim.child.signal("SIGKILL");
    const diedMs = performance.now();
    const views = mortal.map(({ view }) => view);
    const online = () => onlineOf(ground, views);
    const tookMs = async (isSo: () => boolean | Promise<boolean>, what: string) => {
      const isDone = await until(what, isSo, 2 * leaseMs).then(
        () => true,
        () => false,
      );
      return isDone ? performance.now() - diedMs : Number.POSITIVE_INFINITY;
    };
    const toldMs = await tookMs(() => lapses.told.length >= each, "all lapses to be told");
    const trueMs = await tookMs(async () => (await online()) === 0, "online to be true");
    await Bun.sleep(isShort ? 1_500 : 20_000); // for a second telling
    const promise = 4;
    const note = `${each} seats`;
    const what = "kill -9 of a node -> its seats are gone from online";
    measure({ promise, what, atMost: boundMs, measured: trueMs, unit: "ms", note });
    const news = "kill -9 of a node -> all of them told as lapsed";
    measure({ promise, what: news, atMost: boundMs, measured: toldMs, unit: "ms" });
    const accounts = new Set(lapses.told.map(({ account }) => account));
    const twice = lapses.told.length - accounts.size;
    measure({ promise, what: "told twice", exactly: 0, measured: twice });
    const stray = others.filter(({ view }) => view.endedMs !== null || accounts.has(view.account));
    measure({ promise, what: "others told or closed", exactly: 0, measured: stray.length });
    await tellReturns(trial, returning);
    const scans = await scansOf(redis);
    const scanned = "scans of the whole keyspace, by nodes";
    measure({ promise, what: scanned, exactly: 0, measured: scans });
    const isForgotten = async () => (await orphansOf(redis, nodeId)).length === 0;
    const goneMs = await tookMs(isForgotten, "the dead node to be forgotten");
    const forgotten = "kill -9 of a node -> no key of Redis is its own, lists it or has its seat";
    measure({ promise, what: forgotten, atMost: forgottenMs, measured: goneMs, unit: "ms" });
    log("the node starts again, and its clients come back elsewhere");
    await victim.start();
    const back = await resumeAll(ground, mortal);
    measure({ promise: 3, what: "sessions that did not go on", exactly: 0, measured: each - back });
  },
};

/** Clients of the node that will die: each comes back at once, and for as long as it takes. */
async function startReturning(lab: Lab, count: number): Promise<readonly Sdk[]> {
  const [victim, ...others] = lab.edges;
  const sdks = Array.from({ length: count }, (_, index) => {
    const other = others[index % others.length]!; // there are two
    const pick = () => (victim?.child.hasExited() === true ? other : victim!).urls[index % 2]!;
    return startSdk({ ...{ lab, kind: "go", account: `returns, ${index}` }, pick });
  });
  await until("the clients to be in", () => sdks.every(({ isOpen }) => isOpen), 60_000);
  return sdks;
}

async function tellReturns({ measure }: Trial, sdks: readonly Sdk[]): Promise<void> {
  const isBack = ({ story }: Sdk) => story.resumes > 0;
  await until("all to be back", () => sdks.every(isBack), backMs.max).catch(() => {});
  const gaps = sdks.map(({ story }) => story.gapsMs[0] ?? Number.POSITIVE_INFINITY);
  const what = "kill -9 of a node -> its clients are back with their sessions";
  const unit = { promise: 3, unit: "ms", note: `${sdks.length} clients` } as const;
  measure({ ...unit, what: `${what}, p99`, atMost: backMs.p99, measured: quantile(gaps, 0.99) });
  measure({ ...unit, what: `${what}, the last`, atMost: backMs.max, measured: Math.max(...gaps) });
  const tokens = sdks.reduce((sum, { story }) => sum + story.tokens - 1, 0);
  measure({ promise: 3, what: "new tokens that they needed", exactly: 0, measured: tokens });
  await Promise.all(sdks.map((sdk) => sdk.stop()));
}

async function enterAll(lab: Lab, edge: number, count: number): Promise<Visit[]> {
  const { urls } = lab.edges[edge]!; // there are three
  const visits: Visit[] = [];
  for (let at = 0; at < count; at += 20) {
    const some = Array.from({ length: Math.min(20, count - at) }, (_, index) =>
      lab.enter({ url: urls[index % 2]!, account: `on ${edge}, ${at + index}` }),
    );
    visits.push(...(await Promise.all(some)));
  }
  return visits;
}

async function resumeAll(lab: Lab, visits: readonly Visit[]): Promise<number> {
  let accepted = 0;
  for (let at = 0; at < visits.length; at += 20) {
    const some = visits.slice(at, at + 20).map(async ({ view, login }, index) => {
      const url = lab.edges[1 + (index % 2)]!.urls[index % 2]!; // there are three
      const back = await lab.enter({
        url,
        account: view.account,
        sessionId: login?.sessionId ?? "",
      });
      return back.login === null ? 0 : 1;
    });
    for (const one of await Promise.all(some)) accepted += one;
  }
  return accepted;
}
