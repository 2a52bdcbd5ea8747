/**
 * Promise 1 where nodes cannot reach Redis, by EDGE_FENCE: cut off alone, from NATS only, from
 * both, all at once. And promise 5: an outage of Redis and NATS for all ends no connection.
 */
import { until } from "../ground.ts";
import type { Lab, LabEdge } from "../lab.ts";
import { hearLapses } from "../lapses.ts";
import type { Move } from "../moves.ts";
import type { Scenario, Trial } from "../scenario.ts";
import type { Visit } from "../visit.ts";

interface Place {
  readonly mode: "auto" | "strict" | "available";
  readonly cutFrom: "redis" | "nats" | "both" | "nothing";
  readonly isClosed: boolean;
}

const places: readonly Place[] = [
  { mode: "auto", cutFrom: "redis", isClosed: true },
  { mode: "auto", cutFrom: "both", isClosed: true },
  { mode: "auto", cutFrom: "nats", isClosed: false },
  { mode: "strict", cutFrom: "both", isClosed: true },
  { mode: "available", cutFrom: "redis", isClosed: false },
  { mode: "auto", cutFrom: "nothing", isClosed: false },
];

const moves = {
  alone: {
    row: "A3",
    fault: "a node alone is cut off from Redis",
    metric: "holdfast_fence_state",
    label: 'state="alone"',
    tells: "this node does not reach Redis, and others do: look at its network",
  },
  isolated: {
    row: "A4",
    fault: "a node is cut off from Redis and NATS",
    metric: "holdfast_fence_state",
    label: 'state="isolated"',
    tells: "this node reaches neither Redis nor another node",
  },
  fenced: {
    row: "A4",
    fault: "a node is cut off from Redis and NATS",
    metric: "holdfast_fence_closes_total",
    tells: "a node closed its connections, since others may have their seats",
  },
  away: {
    row: "A4",
    fault: "Redis and NATS are away for all, for less than a lease",
    metric: "holdfast_dependency_up",
    label: 'dependency="redis"',
    isFall: true,
    tells: "0 on all nodes: an outage; on one: its network",
  },
} as const satisfies Record<string, Move>;

export const scenario: Scenario = {
  name: "fence-modes",
  promises: [1, 5],
  makesStale: "long",
  moves: Object.values(moves),
  shows: "a node cut off from Redis closes its seats in time, by its mode, and an outage none",
  isLongOnly: true, // the cluster test `fence` has the short form of it
  async run(trial) {
    // The long form has the product's own lease of 45 s.
    const leaseMs = trial.size === "short" ? 8_000 : 45_000;
    const timers = {
      EDGE_ALLOW_SHORT_TIMERS: "true",
      EDGE_LEASE_MS: String(leaseMs),
      EDGE_FIRST_LEASE_MS: String(Math.min(10_000, leaseMs / 2)),
      EDGE_RENEW_INTERVAL_MS: String(Math.min(5000, leaseMs / 8)),
    };
    await cutAlone(trial, timers, leaseMs);
    await endForAll(trial, timers, (leaseMs * 2) / 3);
  },
};

async function cutAlone(
  trial: Trial,
  settings: Record<string, string>,
  leaseMs: number,
): Promise<void> {
  const lab = await trial.lab({
    ...{ edges: places.length, isLinked: true, isFenced: true, settings },
    settingsOf: (index) => ({ EDGE_FENCE: places[index]?.mode ?? "auto" }),
  });
  const each = trial.count({ short: 20, long: 300 });
  const crowds = await Promise.all(
    lab.edges.map((edge, at) => crowd(lab, edge, `${at} ${nameOf(places[at]!)}`, each)),
  );
  const some = trial.count({ short: 3, long: 30 });
  const moving = await Promise.all(
    lab.edges.slice(0, -1).map((edge, at) => crowd(lab, edge, `moves from ${at}`, some)),
  );
  // All have been renewed, so that each lease is a whole one.
  await Bun.sleep(1.2 * Number(settings["EDGE_RENEW_INTERVAL_MS"]));
  const freed: string[] = []; // seats that somebody else could have had before
  for (const visit of crowds.flat()) void watchSeat(lab, visit, freed);

  const healed = lab.allowOverlap(leaseMs + 5000);
  const cutMs = performance.now();
  const isDue = (at: number) => places[at]!.isClosed;
  const due = [...crowds.filter((_, at) => isDue(at)), ...moving].flat();
  const areClosed = () => due.every(({ view }) => view.endedMs !== null);
  const cutAndWait = async () => {
    for (const [at, { cutFrom }] of places.entries()) cut(lab.edges[at]!, cutFrom);
    const newer = takeOver(lab, moving);
    await until("the fences", areClosed, 2 * leaseMs).catch(() => {});
    return { newer };
  };
  const { newer } = await trial.watching(
    lab,
    [moves.alone, moves.isolated, moves.fenced],
    cutAndWait,
  );
  // The cut goes on for as long again as a lease: who may stay has to stay.
  await Bun.sleep(Math.max(0, cutMs + 2 * leaseMs - performance.now()));
  for (const [at, place] of places.entries())
    measurePlace(trial, place, crowds[at]!, cutMs, leaseMs);
  await newer;
  measureMoved(trial, moving.flat(), cutMs, leaseMs);
  const onRedis = freed.filter((account) => account.startsWith("0 "));
  trial.measure({
    ...{ promise: 1, what: "seats that were free before their node, cut off alone, closed them" },
    ...{ exactly: 0, measured: onRedis.length },
  });
  for (const { redisLink, natsLink } of lab.edges) {
    redisLink?.heal();
    natsLink?.heal();
  }
  const healMs = performance.now();
  await until("all nodes to be ready", async () => (await ready(lab)) === places.length, 20_000);
  trial.measure({
    ...{ promise: 5, what: "cut healed -> every node ready", atMost: 10_000, unit: "ms" },
    measured: performance.now() - healMs,
  });
  healed();
}

/** Their accounts log in at the node that is not cut off. */
async function takeOver(lab: Lab, older: readonly (readonly Visit[])[]): Promise<void> {
  const { urls } = lab.edges.at(-1)!; // there are six
  for (const [at, { view }] of older.flat().entries()) {
    await lab.enter({ url: urls[at % 2]!, account: view.account });
  }
}

function measureMoved(trial: Trial, older: readonly Visit[], cutMs: number, leaseMs: number): void {
  const closes = older.map(({ view }) => (view.endedMs ?? Number.POSITIVE_INFINITY) - cutMs);
  trial.measure({
    ...{ promise: 1, what: "taken over elsewhere: cut -> last older connection closed" },
    ...{ atMost: leaseMs + 1000, measured: Math.max(...closes), unit: "ms" },
    note: `${older.length} of them`,
  });
}

function measurePlace(
  trial: Trial,
  place: Place,
  visits: readonly Visit[],
  cutMs: number,
  leaseMs: number,
): void {
  const name = nameOf(place);
  const ended = visits.filter(({ view }) => view.endedMs !== null);
  if (!place.isClosed) {
    const what = `${name}: connections closed`;
    const note = `in ${(2 * leaseMs) / 1000} s`;
    trial.measure({ promise: 1, what, exactly: 0, measured: ended.length, note });
    return;
  }
  const closes = visits.map(({ view }) => (view.endedMs ?? Number.POSITIVE_INFINITY) - cutMs);
  trial.measure({
    ...{ promise: 1, what: `${name}: cut -> last connection closed`, unit: "ms" },
    ...{ atMost: leaseMs + 1000, measured: Math.max(...closes), note: `${visits.length} of them` },
  });
  const others = ended.filter(({ view }) => view.closed?.closePush?.code !== 2).length;
  const what = `${name}: told another reason than ServerShutdown`;
  trial.measure({ promise: 1, what, exactly: 0, measured: others });
}

/** Redis and NATS stand still for all, for less than a lease. */
async function endForAll(
  trial: Trial,
  settings: Record<string, string>,
  outageMs: number,
): Promise<void> {
  const lab = await trial.lab({ edges: 3, settings });
  await using lapses = await hearLapses(lab);
  const each = trial.count({ short: 20, long: 300 });
  const crowds = await Promise.all(
    lab.edges.map((edge, at) => crowd(lab, edge, `all ${at}`, each)),
  );
  await Bun.sleep(1.2 * Number(settings["EDGE_RENEW_INTERVAL_MS"]));
  const servers = [...lab.servers.redis, ...lab.servers.nats];

  await trial.watching(lab, [moves.away], async () => {
    for (const server of servers) server.signal("SIGSTOP");
    await Bun.sleep(outageMs);
  });
  const isStillReady = (await ready(lab)) === lab.edges.length;
  for (const server of servers) server.signal("SIGCONT");
  const backMs = performance.now();
  const isUp = async () => (await lab.metric("holdfast_fence_state", "linked")) === 3;
  await until("all nodes to reach Redis", isUp, 30_000);
  const tookMs = performance.now() - backMs;
  await Bun.sleep(Number(settings["EDGE_LEASE_MS"]) / 2); // for nodes that hold others for dead

  const ended = crowds.flat().filter(({ view }) => view.endedMs !== null).length;
  const seconds = (outageMs / 1000).toFixed(0);
  const who = `Redis and NATS away for ${seconds} s:`;
  trial.measure({ promise: 5, what: `${who} connections closed`, exactly: 0, measured: ended });
  const lapsed = lapses.told.length;
  trial.measure({ promise: 4, what: `${who} seats told as lapsed`, exactly: 0, measured: lapsed });
  const unready = isStillReady ? 0 : 1;
  trial.measure({ promise: 5, what: `${who} nodes not ready`, exactly: 0, measured: unready });
  const what = "Redis back -> every node reaches it";
  trial.measure({ promise: 5, what, atMost: 5000, measured: tookMs, unit: "ms" });
}

function cut({ redisLink, natsLink }: LabEdge, from: Place["cutFrom"]): void {
  if (from === "redis" || from === "both") redisLink?.silence();
  if (from === "nats" || from === "both") natsLink?.silence();
}

function nameOf({ mode, cutFrom }: Place): string {
  if (cutFrom === "nothing") return "the others";
  return `${mode}, cut off from ${cutFrom === "both" ? "Redis and NATS" : words[cutFrom]}`;
}

const words = { redis: "Redis", nats: "NATS" } as const;

async function crowd(lab: Lab, edge: LabEdge, name: string, count: number): Promise<Visit[]> {
  const visits: Visit[] = [];
  for (let at = 0; at < count; at += 20) {
    const some = Array.from({ length: Math.min(20, count - at) }, (_, index) =>
      lab.enter({ url: edge.urls[index % 2]!, account: `${name} ${at + index}` }),
    );
    visits.push(...(await Promise.all(some)));
  }
  return visits;
}

/** When its connection has been closed its seat must still stand, or be given back by then. */
async function watchSeat(lab: Lab, { view, wire }: Visit, freed: string[]): Promise<void> {
  await wire.closed;
  if (view.isLeft) return;
  const seats = await lab.registry.seats(view.account).catch(() => null);
  if (seats?.length === 0) freed.push(view.account);
}

async function ready(lab: Lab): Promise<number> {
  const asked = lab.admins.map(async (admin) => {
    const answer = await fetch(`${admin}/readyz`).catch(() => null);
    return answer?.status === 200;
  });
  return (await Promise.all(asked)).filter(Boolean).length;
}
