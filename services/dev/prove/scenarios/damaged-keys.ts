/**
 * Promises 2 and 5 where somebody has written to the keys of Redis: under a crowd, keys of each
 * kind are damaged, of accounts and of what nodes share. Whoever is refused gets in with a new
 * token; nobody gets in as somebody else; no node ends, and whoever is not meant is not touched.
 */
import { Status } from "@holdfast/protocol";
import { tagOf } from "@holdfast/session";
import { drawDamages } from "@holdfast/session/damage";
import { connectRedis, type RedisConnection } from "@holdfast/session/redis";
import { createUpstream } from "@holdfast/upstream";
import {
  type AccountKind,
  accountKinds,
  type Credentials,
  damageKey,
  damageShared,
  keyOf,
  nameAnother,
  readLedgers,
} from "../damage.ts";
import { patiently, until } from "../ground.ts";
import type { Lab } from "../lab.ts";
import { startLoad } from "../load.ts";
import type { Scenario, Trial } from "../scenario.ts";
import { beat } from "../sdk.ts";
import type { Visit } from "../visit.ts";

const promise = 5;
const leaseMs = 45_000; // the default
const healsMs = 12_000; // as after a Redis that has forgotten
const askAgainMs = 500;
const patienceMs = 10_000; // with a store that is late on a busy machine
const whoAmI = 212; // a command that no edge answers by itself

export const scenario: Scenario = {
  name: "damaged-keys",
  promises: [promise, 2],
  moves: [
    {
      row: "B9",
      fault: "keys of Redis name another account",
      metric: "holdfast_dependency_errors_total",
      label: 'dependency="redis",reason="other"',
      tells: "somebody else writes to these keys: whoever they were of was refused",
    },
    {
      row: "B9",
      fault: "keys of Redis are damaged",
      metric: "holdfast_reconcile_repairs_total",
      label: 'action="reasserted"',
      tells: "seats were not in Redis any more, and were put back by their nodes",
    },
  ],
  shows: "whatever becomes of a key in Redis costs its account at most a lease, and no other",
  async run(trial) {
    const { size, seed, count } = trial;
    const ground = await trial.lab({
      settings: {
        ...{ EDGE_RENEW_INTERVAL_MS: "1000", EDGE_STORE_FAILURES_MAX: "100" },
        // What reads like a war of logins is held off as one, for less than a lease.
        ...(size === "long"
          ? { EDGE_FLAP_WINDOW_MS: "30000" }
          : { EDGE_FLAP_DISPLACEMENTS_MAX: "0" }), // for which there is no time
      },
    });
    const redis = await connectRedis({ url: ground.servers.redisUrl });
    const upstream = await answerWho(ground);
    const healed = ground.allowOverlap(healsMs);
    try {
      const crowd = { players: count({ short: 8, long: 24 }), accounts: 8, prefix: "crowd" };
      const { recorder } = ground;
      const load = startLoad({ cluster: ground, recorder, seed, ...crowd });
      ground.leavesToo(load.leave);
      const sitting = await sitDown(ground, redis);
      const times = count({ short: 6, long: 1_000 });
      const vandal = damageShared({ redis, seed, times, pauseMs: size === "short" ? 10 : 25 });
      const sums = await playAll(trial, ground, redis);
      await vandal.done;
      await load.settle();
      tellAccounts(trial, sums);
      await tellNodes(trial, ground, sums, redis);
      const lost = sitting.filter(({ view }) => view.endedMs !== null);
      for (const { view } of lost) trial.log(`${view.account} ended: ${told(view)}`);
      const strays = load.surprises.length + lost.length;
      for (const words of load.surprises.slice(0, 5)) trial.log(words);
      const note = `${sitting.length} who sit, ${recorder.views.length} connections in all`;
      const what = "others that were closed, or told what no client may be told";
      trial.measure({ promise, what, exactly: 0, measured: strays, note });
      const turns = "turns to drain that were not given although nobody had them";
      trial.measure({ promise, what: turns, exactly: 0, measured: vandal.refused() });
    } finally {
      healed();
      await upstream.stop();
      await redis.close();
    }
  },
};

/** Says whose the connection is, as an upstream is told. */
function answerWho({ servers }: Lab) {
  const { host, port } = servers.nats[0]!; // there is one
  return createUpstream({
    nats: { servers: `${host}:${port}` },
    commands: { [whoAmI]: async ({ account }) => new TextEncoder().encode(account) },
    stopTimeoutMs: 100,
    onFault: () => {}, // an answer that does not come is seen by who asked
  });
}

/** They ask for nothing; what becomes of the seats of some, their nodes have to mend. */
async function sitDown(lab: Lab, redis: RedisConnection): Promise<readonly Visit[]> {
  const sitting = await Promise.all(
    Array.from({ length: 12 }, (_, index) =>
      settle(lab, lab.urls[index % lab.urls.length]!, `sits-${index}`),
    ),
  );
  for (const [index, damage] of seatDamages.entries()) {
    const key = `hf:{${tagOf(`sits-${index}`)}}:seats`;
    await damageKey(redis, key, { at: 0, value: "a:b:c", ...damage });
  }
  return sitting;
}

/** Nothing of its account is damaged yet: a store that is late is asked again. */
function settle(lab: Lab, url: string, account: string): Promise<Visit> {
  return patiently(async () => {
    const visit = await lab.enter({ url, account, patienceMs });
    if (visit.login === null) throw new Error(`${account} was refused before any damage`);
    return visit;
  });
}

/** After which a seat is not there, and nothing tells of another. */
const seatDamages = [
  { what: "delete" },
  { what: "type" },
  { what: "set" },
  { what: "cut" },
] as const;

function told({ closed }: Visit["view"]): string {
  return `${closed?.how}, Close ${closed?.closePush?.code ?? "none"}`;
}

interface Sums {
  damaged: number;
  asked: number;
  /** Let in with what they had before. */
  letIn: number;
  /** Of these, what an upstream heard of whose they are; and where that was not so. */
  told: number;
  strangers: number;
  /** Logins that ended without an answer. */
  unanswered: number;
  /** Answers that say that the node or its store has failed. */
  failed: number;
  /** Of each account, until a new token let it in; those that waited for their own old seat. */
  readonly displacingMs: number[];
  readonly rejectingMs: number[];
  /** Accounts that had more than one connection for too long. */
  crowded: number;
}

interface Case {
  readonly account: string;
  readonly kind: AccountKind;
  /** Null: its record names another account. */
  readonly damage: ReturnType<typeof drawDamages>[number] | null;
  /** Its last token displaces nobody. */
  readonly isRejecting: boolean;
}

async function playAll(trial: Trial, lab: Lab, redis: RedisConnection): Promise<Sums> {
  const { size, seed, count, draw, log } = trial;
  const sums: Sums = {
    ...{
      damaged: 0,
      asked: 0,
      letIn: 0,
      told: 0,
      strangers: 0,
      unanswered: 0,
      failed: 0,
      crowded: 0,
    },
    ...{ displacingMs: [], rejectingMs: [] },
  };
  const total = accountKinds.length * count({ short: 5, long: 1_000 });
  const damages = drawDamages({ nowMs: Date.now(), seed, count: total });
  const cases: Case[] = damages.map((damage, index) => ({
    account: `owner-${index}`,
    kind: accountKinds[index % accountKinds.length]!, // the remainder is in bounds
    // Of each kind the first is of a wrong type, whatever is drawn.
    damage: index < accountKinds.length ? { ...damage, what: "type", at: index } : damage,
    // Their seats may have to lapse first, for which there is no time in the short form.
    isRejecting: size === "long" && Math.floor(index / accountKinds.length) % 4 === 3,
  }));
  for (const kind of ["session", "token"] as const) {
    cases.unshift({ account: `another-${kind}`, kind, damage: null, isRejecting: false });
  }
  const random = draw("order");
  let next = 0;
  const lane = async () => {
    for (let one = cases[next++]; one !== undefined; one = cases[next++]) {
      const words = await play({ one, lab, redis, sums, random });
      if (words !== "") log(`${one.account}, ${one.kind} ${JSON.stringify(one.damage)}: ${words}`);
    }
  };
  await Promise.all(Array.from({ length: count({ short: 21, long: 100 }) }, lane));
  return sums;
}

interface Play {
  readonly one: Case;
  readonly lab: Lab;
  readonly redis: RedisConnection;
  readonly sums: Sums;
  readonly random: () => number;
}

/** What went wrong, in words; empty: nothing. */
async function play(at: Play): Promise<string> {
  const { one, lab, redis, sums, random } = at;
  const { earlier, standing, credentials } = await settleIn(at);
  const key = keyOf(one.kind, credentials);
  if (one.damage === null) await nameAnother(redis, key);
  else await damageKey(redis, key, one.damage);
  sums.damaged++;

  const visits = [...(earlier === null ? [] : [earlier]), standing];
  for (const credential of presented(one, credentials, random)) {
    const visit = await come(at, credential);
    if (visit !== null) visits.push(visit);
  }
  const fromMs = performance.now();
  if (one.isRejecting) for (const visit of visits) lab.leave(visit);
  const last = await letIn(at, fromMs);
  const tookMs = last === null ? Number.POSITIVE_INFINITY : performance.now() - fromMs;
  (one.isRejecting ? sums.rejectingMs : sums.displacingMs).push(tookMs);
  if (last === null) return "never let in again";
  const isAlone = () => visits.every(({ view, login }) => login === null || view.endedMs !== null);
  const isHealed = await until("one connection to be left", isAlone, healsMs).then(
    () => true,
    () => false,
  );
  for (const visit of [...visits, last]) lab.leave(visit);
  if (!isHealed) sums.crowded++;
  if (!isHealed) return "more than one connection was left";
  return tookMs > leaseMs ? `let in after ${Math.round(tookMs)} ms` : "";
}

async function settleIn(at: Play) {
  const { lab, one } = at;
  const { account, kind } = one;
  const isSecond = kind === "away" || kind === "over";
  const enter = () => settle(lab, anywhere(at), account);
  const earlier = isSecond ? await enter() : null;
  if (kind === "away" && earlier !== null) lab.leave(earlier);
  const standing = await enter();
  await beat(standing);
  const credentials: Credentials = {
    account,
    sessionId: standing.login?.sessionId ?? "",
    used: standing.view.token,
    earlier: earlier?.login?.sessionId ?? "",
    token: await patiently(() => lab.issue(account)),
  };
  return { earlier, standing, credentials };
}

function anywhere({ lab, random }: Play): string {
  return lab.urls[Math.floor(random() * lab.urls.length)]!; // the draw is below 1
}

type Credential = { readonly token: string } | { readonly sessionId: string };

/** All that an account has, in any order; only what names another, where a record does. */
function presented(
  { kind, damage }: Case,
  { sessionId, earlier, token, used }: Credentials,
  random: () => number,
): readonly Credential[] {
  if (damage === null) return kind === "token" ? [{ token }] : [{ sessionId }];
  const all = [{ sessionId }, { token }, { token: used }];
  const more = earlier === "" ? [] : [{ sessionId: earlier }];
  return [...all, ...more]
    .map((credential) => ({ credential, rank: random() }))
    .toSorted((left, right) => left.rank - right.rank)
    .map(({ credential }) => credential);
}

/** One login, whatever comes of it; null: it was not let in. */
async function come(at: Play, credential: Credential): Promise<Visit | null> {
  const { one, lab, sums } = at;
  const { account } = one;
  sums.asked++;
  const visit = await lab.enter({ url: anywhere(at), account, ...credential }).catch(() => null);
  if (visit?.status == null) sums.unanswered++;
  if (visit?.status === Status.internalError) sums.failed++;
  if (visit === null || visit.login === null) {
    if (visit !== null) visit.view.isLeft = true;
    visit?.wire.reset();
    return null;
  }
  sums.letIn++;
  const { view, wire } = visit;
  view.asked++;
  const answer = await wire.request(whoAmI, new Uint8Array(0)).catch(() => null);
  if (answer !== null) view.answered++;
  if (answer?.status !== Status.success) return visit; // displaced meanwhile, or answered too late
  sums.told++;
  if (new TextDecoder().decode(answer.body) !== account) sums.strangers++;
  return visit;
}

/** Its owner comes with new tokens, until one of them is good. */
async function letIn(at: Play, fromMs: number): Promise<Visit | null> {
  const { one, lab } = at;
  const policy = one.isRejecting ? "reject" : "displace";
  const identity = { account: one.account, seatsMax: 1, policy, metadata: {} } as const;
  for (;;) {
    const { token } = await patiently(() => lab.registry.issue(identity, 60_000));
    const visit = await come(at, { token });
    if (visit !== null || performance.now() - fromMs > leaseMs + 15_000) return visit;
    await Bun.sleep(askAgainMs);
  }
}

function tellAccounts({ measure, size }: Trial, sums: Sums): void {
  const { damaged, asked, letIn } = sums;
  const note = `${damaged} keys of ${accountKinds.length} kinds, ${asked} logins, ${letIn} let in`;
  const waits = [...sums.displacingMs, ...sums.rejectingMs];
  const lockedOut = waits.filter((ms) => ms > leaseMs).length;
  const locked = "a key is damaged: accounts locked out for longer than a lease";
  measure({ promise, what: locked, exactly: 0, measured: lockedOut, note });
  const worst = { measured: Math.max(...sums.displacingMs), unit: "ms" };
  measure({ promise, what: "a key is damaged -> a new token lets its account in", ...worst });
  if (size === "long") {
    const what = "... where nobody is displaced: the last of them";
    const rejecting = { measured: Math.max(...sums.rejectingMs), unit: "ms" };
    measure({ promise, what, ...rejecting, note: `${sums.rejectingMs.length} accounts` });
  }
  const whose = `an upstream was asked whose they are, and told of ${sums.told} of ${letIn}`;
  const strangers = { exactly: 0, measured: sums.strangers, note: whose };
  measure({ promise: 2, what: "connections that were let in as another account", ...strangers });
  const crowded = `accounts with more than one connection ${healsMs / 1000} s after that`;
  measure({ promise, what: crowded, exactly: 0, measured: sums.crowded });
  const unanswered = { exactly: 0, measured: sums.unanswered };
  measure({ promise, what: "logins that ended without an answer", ...unanswered });
}

async function tellNodes(
  { measure }: Trial,
  lab: Lab,
  sums: Sums,
  redis: RedisConnection,
): Promise<void> {
  const ended = lab.edges.filter(({ child }) => child.hasExited()).length;
  measure({ promise, what: "nodes that ended", exactly: 0, measured: ended });
  const errors = await lab.metric("holdfast_exceptions_total");
  measure({ promise, what: "internal errors of nodes", exactly: 0, measured: errors });
  const late = await lab.metric("holdfast_dependency_errors_total", 'reason="timeout"');
  const failed = Math.max(0, sums.failed - late);
  const what = "logins that failed in Redis, and not for its being late";
  measure({ promise, what, exactly: 0, measured: failed, note: `${late} calls were late` });
  const fromMs = performance.now();
  await until("the ledgers to be whole", () => isWhole(lab, redis), healsMs).catch(() => {});
  const whole = (await isWhole(lab, redis)) ? performance.now() - fromMs : Number.POSITIVE_INFINITY;
  const ledgers = "last damage -> each node's ledger has its accounts, and nothing else";
  measure({ promise, what: ledgers, atMost: healsMs, measured: whole, unit: "ms" });
}

/** Each ledger has the accounts of those who stand on its node just now, and nothing else. */
async function isWhole({ recorder, edges }: Lab, redis: RedisConnection): Promise<boolean> {
  const ledgers = await readLedgers(redis);
  return edges.every(({ description, urls }) => {
    const here = recorder.views.filter(
      ({ answeredMs, endedMs, url }) =>
        answeredMs !== null && endedMs === null && urls.includes(url),
    );
    const seated = [...new Set(here.map(({ account }) => tagOf(account)))].sort();
    const nodes = [...ledgers].filter(([node]) => node.startsWith(`${description.node}-`));
    return Bun.deepEquals(
      nodes.map(([, tags]) => tags),
      [seated],
    );
  });
}
