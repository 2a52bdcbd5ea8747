/**
 * Promise 1 in a split network: the old primary and one node with its NATS server on one side, two
 * replicas, the Sentinels and the other nodes on the other. Accounts are taken over on both sides.
 * Splits end before a lease does, when all must be put in order again, or after it, by when the
 * lonely node has closed its seats.
 */
import type { Server } from "@holdfast/servers";
import { spread } from "../figures.ts";
import { until } from "../ground.ts";
import type { Lab } from "../lab.ts";
import { askRedis, isPrimary, primariesOf } from "../redis-line.ts";
import type { Scenario, Trial } from "../scenario.ts";
import {
  comeBack,
  type Guest,
  gatherGuests,
  inTurn,
  isSettled,
  logInLonely,
  sidesOf,
  standing,
  takeOver,
} from "../split-parties.ts";
import { type SplitRedis, startSplitRedis } from "../split-redis.ts";

const promise = 1;
const putInOrderMs = 12_000;
const productLeaseMs = 45_000;
const refusedMs = 4_000; // 2.5 s as a rule; by what Redis counts, in whole seconds, at most this
const beyondLeaseMs = 5_000;
const never = Number.POSITIVE_INFINITY;

interface Round {
  readonly name: string;
  /** Of the lonely node. */
  readonly fence: "auto" | "strict";
  readonly lasts: "less than a lease" | "more than a lease";
  /** What becomes of the lonely node's way to the other NATS servers. */
  readonly nats: "cut" | "silent" | "whole";
}

const less = { fence: "auto", lasts: "less than a lease" } as const;
const more = { fence: "auto", lasts: "more than a lease" } as const;
const rounds: readonly Round[] = [
  { ...less, name: "soon healed", nats: "cut" },
  { ...less, name: "soon healed, routes silent", nats: "silent" },
  { ...more, name: "lasting", nats: "cut" },
  { ...more, name: "lasting, routes silent", nats: "silent" },
  { ...more, name: "lasting, NATS whole", nats: "whole" },
  { ...more, name: "lasting, strict", nats: "cut", fence: "strict" },
];

interface Seen {
  /** From the cut: the old primary takes no more writes. */
  readonly refusedMs: number;
  /** Logins that the lonely node accepted after that. */
  readonly acceptedAfter: number;
  /** From the promotion: one connection for each account of the other side. */
  readonly orderedMs: number;
  /** From the cut: the lonely node has closed its seats. Null where the split was shorter. */
  readonly closedMs: number | null;
  /** Told another reason for that. */
  readonly mistold: number;
  /** From the demotion of the old primary: one connection for each account, everywhere. */
  readonly settledMs: number;
  readonly demotedMs: number;
  readonly guests: number;
  /** Left without a connection. */
  readonly bereft: number;
  /** Whose survivor was not the one it had to be. */
  readonly wrong: readonly string[];
}

type TimeOf = "refusedMs" | "orderedMs" | "closedMs" | "demotedMs" | "settledMs";

export const scenario: Scenario = {
  name: "split",
  promises: [promise],
  makesStale: "always",
  moves: [
    {
      row: "A6",
      fault: "a split network leaves the old primary and a node on their own",
      metric: "holdfast_dependency_errors_total",
      label: 'reason="noreplicas"',
      tells: "a primary that its replicas have left takes no write: look where the Sentinels are",
    },
    {
      row: "A6",
      fault: "a split network leaves the old primary and a node on their own",
      metric: "holdfast_fence_closes_total",
      tells: "a node closed its connections, since others may have their seats",
    },
  ],
  shows: "a split network leaves one connection an account on each side, and one when it is whole",
  isLongOnly: true, // its short form takes a minute, most of it Sentinel's
  async run(trial) {
    const isShort = trial.size === "short";
    const played = isShort ? [rounds[0]!, rounds[2]!] : rounds; // there are six
    const [brief, lasting] = [played.filter(isBrief), played.filter((round) => !isBrief(round))];
    const leaseMs = isShort ? 10_000 : productLeaseMs;
    // A failover and the end of a split take half a minute, whatever the settings are.
    const seen = await play(trial, { leaseMs: productLeaseMs, fence: "auto" }, brief);
    for (const fence of ["auto", "strict"] as const) {
      const some = lasting.filter((round) => round.fence === fence);
      seen.push(...(await play(trial, { leaseMs, fence }, some)));
    }
    tell(trial, seen, leaseMs);
  },
};

function isBrief({ lasts }: Round): boolean {
  return lasts === "less than a lease";
}

async function play(
  trial: Trial,
  { leaseMs, fence }: { readonly leaseMs: number; readonly fence: Round["fence"] },
  some: readonly Round[],
): Promise<Seen[]> {
  if (some.length === 0) return [];
  const redis = await startSplitRedis();
  const lab = await trial.lab({
    ...{ redis: redis.store, nats: 3, isFenced: true },
    settings: {
      EDGE_FENCE: fence,
      EDGE_FLAP_DISPLACEMENTS_MAX: "0",
      EDGE_STORE_FAILURES_MAX: "100",
      EDGE_REFUSAL_GRACE_MS: "30000",
      EDGE_ALLOW_SHORT_TIMERS: "true",
      EDGE_LEASE_MS: String(leaseMs),
      EDGE_FIRST_LEASE_MS: String(Math.min(10_000, leaseMs / 2)),
      EDGE_RENEW_INTERVAL_MS: String(renewMs(leaseMs)),
    },
    settingsOf: (index) => (index === 0 ? { EDGE_REDIS_URL: redis.lonelyUrl } : {}),
  });
  const seen: Seen[] = [];
  for (const round of some) {
    seen.push(await splitOnce(trial, { lab, redis, round, leaseMs }));
    lab.leaveAll();
  }
  return seen;
}

interface Ground {
  readonly lab: Lab;
  readonly redis: SplitRedis;
  readonly round: Round;
  readonly leaseMs: number;
}

async function splitOnce(trial: Trial, ground: Ground): Promise<Seen> {
  const { lab, redis, round, leaseMs } = ground;
  const nodes = lab.servers.redis;
  await redis.whole();
  await until("all edges to be linked", () => areLinked(lab), 30_000);
  const guests = await gatherGuests(lab, round.name, trial.count({ short: 8, long: 30 }));
  const late = await inTurn(
    Array.from({ length: 10 }, (_, at) => `${round.name} late ${at}`),
    async (account) => ({ account, token: await lab.issue(account) }),
  );
  await Bun.sleep(1.3 * renewMs(leaseMs)); // each lease is a whole one
  // Redis counts whole seconds: cut late in one of them, the old primary writes for long.
  if (trial.size === "short") await Bun.sleep((1950 - (Date.now() % 1000)) % 1000);

  const [old] = await primariesOf(nodes);
  if (old === undefined) throw new Error("Cannot split Redis: it has no primary");
  const over = lab.allowOverlap(leaseMs + beyondLeaseMs + putInOrderMs);
  const cutMs = performance.now();
  redis.split(old);
  cutRoutes(lab, round);
  const refusing = refused(old);
  const stolen = await logInLonely(lab, guests);
  const refusingMs = await refusing;
  const acceptedAfter = await logInLate(lab, late);
  const promotedMs = await promotion(nodes, old);
  await takeOver(lab, guests);
  const isOrdered = () => isSettled(lab, guests, "on one side");
  const orderedMs = (await timeOf(isOrdered, 30_000)) - promotedMs;
  const closing = isBrief(round) ? null : await closed(guests, cutMs, 2 * leaseMs + 10_000);

  redis.heal();
  for (const route of lab.servers.natsRoutes) route.heal();
  const healMs = performance.now();
  await until("the old primary to be demoted", async () => !(await isPrimary(old)), 60_000);
  const demotedMs = performance.now();
  trial.log(
    `${round.name}: ${stolen} logins on the lonely side, promoted ${ms(promotedMs - cutMs)} and ` +
      `healed ${ms(healMs - cutMs)} after the cut, demoted ${ms(demotedMs - healMs)} later`,
  );
  if (!isBrief(round)) await comeBack(lab, guests);
  const settledMs = (await timeOf(() => isSettled(lab, guests, "everywhere"), 40_000)) - demotedMs;
  await until("all edges to be linked again", () => areLinked(lab), 30_000);
  over();
  return {
    ...{ refusedMs: refusingMs - cutMs, acceptedAfter, orderedMs, settledMs },
    ...{ closedMs: closing?.closedMs ?? null, mistold: closing?.mistold ?? 0 },
    ...{ demotedMs: demotedMs - healMs, guests: guests.length, wrong: wrongOnes(guests, round) },
    bereft: guests.filter((guest) => standing(guest).length === 0).length,
  };
}

/** In the short form many: most of its lease goes before the old primary refuses to write. */
function renewMs(leaseMs: number): number {
  return leaseMs === productLeaseMs ? 5_000 : leaseMs / 20;
}

function cutRoutes({ servers }: Lab, { nats }: Round): void {
  for (const route of servers.natsRoutes) {
    if (nats === "cut") route.cut();
    if (nats === "silent") route.silence();
  }
}

/** When the old primary takes no write any more. */
function refused(old: Server): Promise<number> {
  return timeOf(async () => {
    const answer = await askRedis(old, "SET prove:split 1 PX 1000").catch(String);
    return answer.includes("NOREPLICAS");
  }, 10_000);
}

/** How many of them the lonely node lets in. */
async function logInLate(
  lab: Lab,
  late: readonly { readonly account: string; readonly token: string }[],
): Promise<number> {
  const { lonely } = sidesOf(lab);
  const visits = await inTurn(late, (one, at) => {
    return lab.enter({ ...one, url: lonely.urls[at % 2]! }).catch(() => null);
  });
  for (const visit of visits) if (visit?.login === null) visit.wire.reset();
  return visits.filter((visit) => visit !== null && visit.login !== null).length;
}

async function promotion(nodes: readonly Server[], old: Server): Promise<number> {
  const others = nodes.filter((node) => node !== old);
  await until(
    "a replica to be promoted",
    async () => (await primariesOf(others)).length > 0,
    30_000,
  );
  return performance.now();
}

/** Until the lonely node has closed all that it had. */
async function closed(guests: readonly Guest[], cutMs: number, timeoutMs: number) {
  const here = guests.flatMap(({ party, visits }) => {
    if (party === "stays" || party === "moved") return visits.slice(0, 1);
    return party === "far" ? [] : visits.slice(1, 2);
  });
  const isClosed = async () => here.every(({ view }) => view.endedMs !== null);
  await timeOf(isClosed, timeoutMs);
  const alone = guests.filter(({ party }) => party === "stays");
  return {
    closedMs: Math.max(...here.map(({ view }) => (view.endedMs ?? never) - cutMs)),
    mistold: alone.filter(({ visits }) => visits[0]?.view.closed?.closePush?.code !== 2).length,
  };
}

/** Monotonic milliseconds of when it is so; infinite if it is not by then. */
async function timeOf(isSo: () => Promise<boolean>, timeoutMs: number): Promise<number> {
  return until("it", isSo, timeoutMs).then(
    () => performance.now(),
    () => never,
  );
}

/** The newest login wins that a primary knows of whose word counts in the end. */
function wrongOnes(guests: readonly Guest[], { lasts, nats }: Round): string[] {
  return guests
    .filter((guest) => {
      const left = standing(guest);
      if (guest.party !== "stolen" || lasts === "less than a lease") {
        return left.length !== 1 || left[0] !== guest.visits.at(-1);
      }
      // The lonely side had its seat and has closed it. Where the news went through, at once or
      // when the routes were healed, the older one was closed, too: then there is none.
      if (nats !== "cut") return left.length !== 0;
      return left.length !== 1 || left[0] !== guest.visits[0];
    })
    .map((guest) => `${guest.account}: ${standing(guest).length} left of ${guest.visits.length}`);
}

function tell(trial: Trial, seen: readonly Seen[], leaseMs: number): void {
  const slowest = (what: string, valuesMs: readonly number[], atMost?: number) => {
    const bound = atMost === undefined ? {} : { atMost };
    const note = `${spread(valuesMs)} splits`;
    trial.measure({ promise, what, measured: Math.max(...valuesMs), unit: "ms", note, ...bound });
  };
  const none = (what: string, measured: number, note: string) =>
    trial.measure({ promise, what, exactly: 0, measured, note });
  const splits = `${seen.length} splits`;
  const wrong = seen.flatMap((one) => one.wrong);
  for (const words of wrong.slice(0, 5)) trial.log(words);

  slowest("cut -> the old primary takes no write", times("refusedMs"), refusedMs);
  none("logins let in by its node after that", sum("acceptedAfter"), splits);
  const ordered = "replica promoted -> on its side one connection an account, and its seat";
  slowest(ordered, times("orderedMs"), putInOrderMs);
  const last = "cut -> the old primary's node has closed its last seat";
  slowest(last, times("closedMs"), leaseMs + beyondLeaseMs);
  none("told another reason than ServerShutdown for it", sum("mistold"), splits);
  slowest("whole again -> the old primary is demoted", times("demotedMs"));
  const settled = "old primary demoted -> one connection an account, and its seat";
  slowest(settled, times("settledMs"), putInOrderMs);
  const who = "accounts whose survivor was not the newest login that counts";
  none(who, wrong.length, `${sum("guests")} accounts`);
  const bereft = "accounts left with none: logins that the old primary let in, and the news spread";
  trial.measure({ promise, what: bereft, measured: sum("bereft") });

  function times(name: TimeOf) {
    return seen.flatMap((one) => one[name] ?? []);
  }

  function sum(name: "acceptedAfter" | "mistold" | "guests" | "bereft"): number {
    return seen.reduce((all, one) => all + one[name], 0);
  }
}

/** They renew, and let clients in. */
async function areLinked(lab: Lab): Promise<boolean> {
  const [linked, up] = await Promise.all([
    lab.metric("holdfast_fence_state", "linked"),
    lab.metric("holdfast_dependency_up", "redis"),
  ]);
  return linked === lab.edges.length && up === lab.edges.length;
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}
