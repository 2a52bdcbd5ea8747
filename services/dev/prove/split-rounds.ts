/**
 * Rounds of a split, over a Redis of any topology: the old primary and one node with its NATS
 * server on one side, all others on the other. Accounts are taken over on both sides, then the
 * network heals: before a lease ends, when all must be put in order again, or after it, by when the
 * lonely node has closed its seats.
 */
import type { Server } from "@holdfast/servers";
import { until } from "./ground.ts";
import { inTurn } from "./in-turn.ts";
import type { Lab } from "./lab.ts";
import { isPrimary, primariesOf } from "./redis-line.ts";
import type { Trial } from "./scenario.ts";
import {
  comeBack,
  type Guest,
  gatherGuests,
  isSettled,
  logInLonely,
  sidesOf,
  standing,
  takeOver,
} from "./split-parties.ts";
import { beyondLeaseMs, putInOrderMs, type Seen, tell } from "./split-seen.ts";
import type { SplitStore } from "./split-store.ts";

const productLeaseMs = 45_000;
const never = Number.POSITIVE_INFINITY;

export interface Round {
  readonly name: string;
  /** Of the lonely node. */
  readonly fence: "auto" | "strict";
  readonly lasts: "less than a lease" | "more than a lease";
  /** What becomes of the lonely node's way to the other NATS servers. */
  readonly nats: "cut" | "silent" | "whole";
  /** Of a Cluster: whose primary is cut off. */
  readonly shard?: number; // default 0
}

export interface Splits {
  readonly start: () => Promise<SplitStore>;
  /** The short form plays the first that is soon healed, and the first that lasts. */
  readonly rounds: readonly Round[];
}

export async function playSplits(trial: Trial, { start, rounds }: Splits): Promise<void> {
  const isShort = trial.size === "short";
  const some = (isWanted: (round: Round) => boolean) =>
    rounds.filter(isWanted).slice(0, isShort ? 1 : undefined);
  const lasting = some((round) => !isBrief(round));
  const leaseMs = isShort ? 10_000 : productLeaseMs;
  // A failover and the end of a split take half a minute, whatever the settings are.
  const seen = await play(trial, {
    ...{ start, leaseMs: productLeaseMs, fence: "auto", rounds: some(isBrief) },
  });
  for (const fence of ["auto", "strict"] as const) {
    const fenced = lasting.filter((round) => round.fence === fence);
    seen.push(...(await play(trial, { start, leaseMs, fence, rounds: fenced })));
  }
  tell(trial, seen, leaseMs);
}

function isBrief({ lasts }: Round): boolean {
  return lasts === "less than a lease";
}

interface Play extends Splits {
  readonly leaseMs: number;
  readonly fence: Round["fence"];
}

async function play(trial: Trial, { start, rounds, leaseMs, fence }: Play): Promise<Seen[]> {
  if (rounds.length === 0) return [];
  const redis = await start();
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
  for (const round of rounds) {
    seen.push(await splitOnce(trial, { lab, redis, round, leaseMs }));
    lab.leaveAll();
  }
  return seen;
}

interface Ground {
  readonly lab: Lab;
  readonly redis: SplitStore;
  readonly round: Round;
  readonly leaseMs: number;
}

async function splitOnce(trial: Trial, ground: Ground): Promise<Seen> {
  const { lab, redis, round, leaseMs } = ground;
  await redis.whole();
  await until("all edges to be linked", () => areLinked(lab), 30_000);
  const old = await redis.oldPrimary(round.shard ?? 0);
  const each = trial.count({ short: 8, long: 30 });
  const guests = await gatherGuests(lab, old, { prefix: round.name, each });
  const late = await inTurn(Array.from({ length: 10 }), async (_, at) => {
    const account = await old.accountOf(`${round.name} late ${at}`, at % 5 === 0);
    return { account, token: await lab.issue(account) };
  });
  await Bun.sleep(1.3 * renewMs(leaseMs)); // each lease is a whole one
  // Redis counts whole seconds: cut late in one of them, the old primary writes for long.
  if (trial.size === "short") await Bun.sleep((1950 - (Date.now() % 1000)) % 1000);

  const over = lab.allowOverlap(leaseMs + beyondLeaseMs + putInOrderMs);
  const promoted = await promotion(lab.servers.redis, old.server);
  const cutMs = performance.now();
  lab.diary.note(`split: the old primary is alone (${round.name})`);
  redis.split(old.server);
  cutRoutes(lab, round);
  const refusing = timeOf(old.isRefusingWrites, 10_000);
  const stolen = await logInLonely(lab, guests);
  const refusingMs = await refusing;
  const acceptedAfter = await logInLate(lab, late);
  const promotedMs = await promoted();
  await takeOver(lab, guests);
  const isOrdered = () => isSettled(lab, guests, "on one side");
  const orderedMs = (await timeOf(isOrdered, 30_000)) - promotedMs;
  const closing = isBrief(round) ? null : await closed(lab, guests, cutMs, 2 * leaseMs + 10_000);

  lab.diary.note("split: healed");
  redis.heal();
  for (const route of lab.servers.natsRoutes) route.heal();
  const healMs = performance.now();
  await until("the old primary to be demoted", async () => !(await isPrimary(old.server)), 60_000);
  const demotedMs = performance.now();
  if (!isBrief(round)) await comeBack(lab, guests);
  const settledMs = (await timeOf(() => isSettled(lab, guests, "everywhere"), 40_000)) - demotedMs;
  await until("all edges to be linked again", () => areLinked(lab), 30_000);
  over();
  trial.log(
    `${round.name}: ${stolen} logins on the lonely side, promoted ${ms(promotedMs - cutMs)} and ` +
      `healed ${ms(healMs - cutMs)} after the cut, demoted ${ms(demotedMs - healMs)} later, ` +
      `all linked by ${ms(performance.now() - healMs)}`,
  );
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

/** To be called before the cut; what it returns waits until there is one primary more. */
async function promotion(nodes: readonly Server[], old: Server): Promise<() => Promise<number>> {
  const others = nodes.filter((node) => node !== old);
  const before = (await primariesOf(others)).length;
  const isPromoted = async () => (await primariesOf(others)).length > before;
  return async () => {
    await until("a replica to be promoted", isPromoted, 30_000);
    return performance.now();
  };
}

/** Until the lonely node has closed all that it had. */
async function closed(lab: Lab, guests: readonly Guest[], cutMs: number, timeoutMs: number) {
  const { urls } = sidesOf(lab).lonely;
  const here = guests.flatMap(({ visits }) => visits.filter(({ view }) => urls.includes(view.url)));
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
