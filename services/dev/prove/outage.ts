/**
 * One outage of a dependency, from a time of quiet to the time when all is well again, and what of
 * the crowd's experience promise 5 bounds.
 */
import { accepted, answered, type Crowd, gather, type Seen, type Timed } from "./crowd.ts";
import { quantile, spread } from "./figures.ts";
import type { Lab } from "./lab.ts";
import type { Measure, Trial } from "./scenario.ts";

export interface Outage {
  readonly of: "redis" | "nats";
  /** As its rows begin: "Redis killed". */
  readonly name: string;
  /** What becomes of sessions without a connection: "lost" with the data. */
  readonly sessions: "kept" | "lost";
  /** A replica takes over meanwhile, and tokens of before are refused for good. */
  readonly isFailover?: boolean;
  begin(): unknown;
  /** Resolves when the dependency itself answers again. */
  end(): unknown;
  /** What others saw, who are told of below as the crowd is. */
  readonly others?: readonly Others[];
}

export interface Others {
  readonly who: string;
  readonly seen: readonly Timed[];
  readonly allowed: readonly string[];
}

const quietMs = { short: 3_000, long: 12_000 };
const roundMs = 3_000;
const healTimeoutMs = 30_000;
const bounds = {
  ...{ answerMs: 1_000, holdMs: 5_000, seatedMs: 6_000, growthMiB: 20 },
  ...{ redisMs: 5_000, natsMs: 3_000 },
};

type Say = (measure: Omit<Measure, "promise">) => void;

let outages = 0; // so that no two crowds are the same

/** Rejects when the crowd could not be gathered; what is broken is measured. */
export async function measureOutage(trial: Trial, lab: Lab, outage: Outage): Promise<void> {
  const awayMs = trial.size === "short" ? 5_000 : 30_000;
  const calmMs = quietMs[trial.size];
  const say: Say = (measure) =>
    trial.measure({ ...measure, promise: 5, what: `${outage.name}: ${measure.what}` });
  const crowd = await gather(lab, {
    prefix: `crowd-${++outages}`,
    connections: trial.count({ short: 120, long: 3_000 }),
    requestsPerSecond: trial.count({ short: 60, long: 500 }),
    heartbeatsPerSecond: trial.count({ short: 30, long: 200 }),
    loginsPerSecond: trial.count({ short: 10, long: 50 }), // and as many sessions coming back
    loginSeconds: (calmMs + awayMs) / 1000 + 5,
    returners: trial.count({ short: 30, long: 1_500 }),
  });
  const startedMs = performance.now();
  let [beganMs, endedMs] = [startedMs, startedMs];
  try {
    await Bun.sleep(calmMs);
    const residentMiB = await resident(lab);
    beganMs = performance.now();
    lab.diary.note(`begins: ${outage.name}`);
    await outage.begin();
    crowd.beginReturns();
    const taking = outage.isFailover ? crowd.untilLogins(healTimeoutMs) : null;
    await Bun.sleep(awayMs);
    if (taking) say({ what: "fault -> logins on every edge", measured: await taking, unit: "ms" });
    const grown = { measured: (await resident(lab)) - residentMiB, unit: "MiB" };
    say({ what: "memory, each edge", atMost: bounds.growthMiB, ...grown });
    endedMs = performance.now();
    lab.diary.note(`ends: ${outage.name}`);
    await outage.end();
    await heal(outage, crowd, say);
    say({ what: "open connections that ended", exactly: 0, measured: crowd.lost() });
  } finally {
    await crowd.stop();
  }
  const before = within(crowd.seen, startedMs, beganMs);
  const during = within(crowd.seen, beganMs, endedMs);
  experience(outage, { before, during }, say);
  if (outage.of === "redis") tails({ before, during }, say, trial.size === "long");
  tellOfExecuted(crowd, say);
  for (const { who, seen, allowed } of outage.others ?? []) {
    const during = seen.filter(({ startedMs: at }) => at >= beganMs && at < endedMs);
    tellOf(say, who, { during, allowed, atMost: bounds.answerMs });
  }
}

async function heal({ of, sessions }: Outage, crowd: Crowd, say: Say): Promise<void> {
  if (of === "nats") {
    const healed = { atMost: bounds.natsMs, measured: await crowd.untilRequests(healTimeoutMs) };
    say({ what: "back -> requests pass every edge", unit: "ms", ...healed });
  } else {
    const healed = { atMost: bounds.redisMs, measured: await crowd.untilLogins(healTimeoutMs) };
    say({ what: "back -> logins on every edge", unit: "ms", ...healed });
    const seated = { atMost: bounds.seatedMs, measured: await crowd.untilSeated(healTimeoutMs) };
    say({ what: "... -> each open connection has its seat", unit: "ms", ...seated });
  }
  const counts = await crowd.returnAll(healTimeoutMs);
  const right = sessions === "kept" ? accepted : "5 / 401";
  const told = sessions === "kept" ? "resumed" : "told to log in anew";
  const what = `sessions that came back and were not ${told}`;
  say({ what, exactly: 0, ...others(Object.entries(counts), [right]) });
}

function experience(
  { of, sessions, isFailover }: Outage,
  { before, during }: { readonly before: Seen; readonly during: Seen },
  say: Say,
): void {
  for (const kind of ["requests", "heartbeats"] as const) {
    const note = `${spread(took(during[kind]))}; before ${spread(took(before[kind]))}`;
    const measured = slowest(during[kind]);
    say({ what: `${kind}, slowest answer`, atMost: bounds.answerMs, measured, unit: "ms", note });
    const allowed = of === "nats" && kind === "requests" ? [answered, "7"] : [answered];
    const wrong = others(counted(during[kind]), allowed);
    say({ what: `${kind} answered otherwise, or not at all`, exactly: 0, ...wrong });
  }
  const refusals = of === "redis" ? ["7 / 503", "HTTP 503"] : [];
  // One that was held may be answered by the Redis that came back.
  const gone = sessions === "lost" ? ["5 / 401"] : [];
  const allowed = [accepted, ...refusals];
  const spent = isFailover ? ["5 / 401"] : [];
  const came = { during: during.logins, allowed: [...allowed, ...spent] };
  tellOf(say, "logins", { ...came, atMost: bounds.answerMs });
  const back = { during: during.returns, allowed: [...allowed, ...gone] };
  tellOf(say, "sessions coming back", { ...back, atMost: bounds.holdMs });
}

/**
 * Redis has no part in these, so they may not wait longer: by the median over rounds of three
 * seconds, since other work of the machine falls into some of them. The short form has too few.
 */
function tails(
  { before, during }: { readonly before: Seen; readonly during: Seen },
  say: Say,
  isJudged: boolean,
): void {
  for (const kind of ["requests", "heartbeats"] as const) {
    const [base, measured] = [tail(before[kind]), tail(during[kind])];
    const bound = isJudged ? { atMost: 2 * base + 2 } : {};
    const note = `before: ${base.toFixed(2)} ms`;
    say({ what: `${kind}, p99 by the median of rounds`, ...bound, measured, unit: "ms", note });
  }
}

function tail(timed: readonly Timed[]): number {
  const [first] = timed.map(({ startedMs }) => startedMs).toSorted((one, other) => one - other);
  if (first === undefined) return 0;
  const rounds = Map.groupBy(timed, ({ startedMs }) => Math.floor((startedMs - first) / roundMs));
  const tailsMs = [...rounds.values()].map((round) => quantile(took(round), 0.99));
  return quantile(tailsMs, 0.5);
}

function tellOfExecuted(crowd: Crowd, say: Say): void {
  const { all, twice, late, dropped } = crowd.executed();
  const note = `${all.toLocaleString("en")} requests executed, ${dropped} dropped as too late`;
  say({ what: "requests that an upstream executed twice", exactly: 0, measured: twice, note });
  const what = "... or after their clients were told 503";
  say({ what, exactly: 0, measured: late, note });
}

function tellOf(
  say: Say,
  who: string,
  told: {
    readonly during: readonly Timed[];
    readonly allowed: readonly string[];
    readonly atMost: number;
  },
): void {
  const { during, allowed, atMost } = told;
  const note = spread(took(during));
  say({ what: `${who}, slowest answer`, atMost, measured: slowest(during), unit: "ms", note });
  const wrong = others(counted(during), allowed);
  say({ what: `${who} answered otherwise, or not at all`, exactly: 0, ...wrong });
}

/** What was asked in that time, whenever it was answered. */
function within(seen: Seen, fromMs: number, untilMs: number): Seen {
  const some = (timed: readonly Timed[]) =>
    timed.filter(({ startedMs }) => startedMs >= fromMs && startedMs < untilMs);
  const { requests, heartbeats, logins, returns } = seen;
  return {
    ...{ requests: some(requests), heartbeats: some(heartbeats) },
    ...{ logins: some(logins), returns: some(returns) },
  };
}

function took(timed: readonly Timed[]): number[] {
  return timed.map(({ tookMs }) => tookMs);
}

/** 0 of nothing. */
function slowest(timed: readonly Timed[]): number {
  return timed.length === 0 ? 0 : quantile(took(timed), 1);
}

function counted(timed: readonly Timed[]): (readonly [string, number])[] {
  const counts = new Map<string, number>();
  for (const { outcome } of timed) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  return [...counts];
}

/** How many there were of outcomes that are not allowed, with all of them in a note. */
function others(counts: readonly (readonly [string, number])[], allowed: readonly string[]) {
  return {
    measured: counts
      .filter(([outcome]) => !allowed.includes(outcome))
      .reduce((sum, [, count]) => sum + count, 0),
    note: counts.map(([outcome, count]) => `${outcome}: ${count}`).join(", ") || "none",
  };
}

/** MiB of an edge, on average. */
async function resident(lab: Lab): Promise<number> {
  const bytes = await lab.metric("process_resident_memory_bytes");
  return bytes / lab.edges.length / 1024 / 1024;
}
