/**
 * Promises 2, 4 and 9 on nodes whose clocks are wrong. Two start five minutes fast and slow, and
 * are set while they run; for two others all time, the monotonic clock included, passes at another
 * rate than for Redis.
 */

import { createExpiries } from "../clocks/expiries.ts";
import { watchLeases } from "../clocks/leases.ts";
import { startMeter } from "../clocks/meter.ts";
import { endOfSilent } from "../clocks/silence.ts";
import { canSkew, createWallClock, paced, type WallClock } from "../clocks.ts";
import { spread } from "../figures.ts";
import { metric, until } from "../ground.ts";
import type { Lab, LabEdge, LabOptions } from "../lab.ts";
import type { Move } from "../moves.ts";
import type { Scenario, Trial } from "../scenario.ts";

const promise = 9;
const startSeconds = [300, -300];
const stepsSeconds = [-120, 300];
const rates = [1.5, 0.67];
const requestRate = 50;
const requestBurst = 100;

/** Of the long form all but the life of a session is as the product sets it. */
const times = {
  short: { intervalMs: 400, timeoutMs: 1200, renewMs: 500, leaseMs: 4500, lifeMs: 1400 },
  long: { intervalMs: 30_000, timeoutMs: 90_000, renewMs: 5000, leaseMs: 45_000, lifeMs: 60_000 },
};
/** How far from its expiry a token or a session is tried. */
const nearMs = { short: 600, long: 1000 };
/** Some sweeps. */
const noticedMs = 600;
/** The client begins to count a little later than the node. */
const earlyMs = 50;
/** A sweep and the way to the client; the short form runs anywhere. */
const slackMs = { short: 2400, long: 2000 };
/** What a busy machine leaves of the heartbeats that are due. */
const pingsLeast = { short: 30, long: 80 };
const leaseDriftMs = { short: 3000, long: 1000 };

const moves = {
  set: {
    row: "D2",
    fault: "the clock of a node is set while it runs",
    metric: "holdfast_redis_clock_offset_seconds",
    tells: "the clock of a node is wrong: harmless to sessions, not to its logs",
  },
  expired: {
    row: "A14",
    fault: "sessions expire while clocks are wrong",
    metric: "holdfast_auth_total",
    label: 'kind="reconnect",outcome="expired"',
    tells: "clients come with sessions that are over; many at once: Redis has lost its data",
  },
} as const satisfies Record<string, Move>;

export const scenario: Scenario = {
  name: "clocks",
  promises: [9, 2, 4],
  moves: Object.values(moves),
  shows: "clocks that are wrong, set, or too quick end nothing early and keep nothing too long",
  async run(trial) {
    if (!canSkew) throw new Error("libfaketime is missing: ./scripts/setup faketime installs it");
    const walls = await Promise.all(startSeconds.map(createWallClock));
    try {
      const lab = await trial.lab(optionsOf(trial, walls));
      await trial.watching(lab, Object.values(moves), () => watchSteps(trial, lab, walls));
    } finally {
      for (const wall of walls) await wall.remove();
    }
  },
};

function optionsOf({ size }: Trial, walls: readonly WallClock[]): LabOptions {
  const { intervalMs, timeoutMs, renewMs, leaseMs, lifeMs } = times[size];
  return {
    edges: walls.length + rates.length,
    settings: {
      EDGE_ALLOW_SHORT_TIMERS: "true",
      EDGE_HEARTBEAT_INTERVAL_MS: String(intervalMs),
      EDGE_HEARTBEAT_TIMEOUT_MS: String(timeoutMs),
      EDGE_RENEW_INTERVAL_MS: String(renewMs),
      EDGE_LEASE_MS: String(leaseMs),
      EDGE_FIRST_LEASE_MS: String(Math.min(10_000, 4 * renewMs)),
      EDGE_SESSION_TTL_MS: String(lifeMs),
      EDGE_REQUEST_RATE: String(requestRate),
      EDGE_REQUEST_BURST: String(requestBurst),
    },
    settingsOf: (index) => walls[index]?.settings ?? paced(rates[index - walls.length] ?? 1),
  };
}

async function watchSteps(trial: Trial, lab: Lab, walls: readonly WallClock[]): Promise<void> {
  const { size, count } = trial;
  const { intervalMs, timeoutMs, lifeMs } = times[size];
  const standing = await enterAll(lab, count({ short: 32, long: 400 }));
  const leases = watchLeases(lab, {
    atLeastMs: (index) => leftOf(size, rateOf(index)),
    behindMs: (index) => Math.max(0, 1 / rateOf(index) - 1) * 1.1 * times[size].renewMs,
  });
  const expiries = createExpiries(lab, { lifeMs, nearMs: nearMs[size] });
  const limits = { rate: requestRate, burst: requestBurst };
  const meters = await Promise.all(
    lab.edges.map(({ urls: [url] }, index) => {
      const account = `meter-${index}`;
      return startMeter(lab, { url, account, ...limits, pace: rateOf(index) });
    }),
  );
  const [pingsBefore, startedMs] = [await countPings(lab), performance.now()];
  const silent: Promise<number>[] = [];
  const refused: string[] = [];
  let [stepped, stalls] = [0, 0];
  for (const [step, by] of stepsSeconds.entries()) {
    await expiries.begin(`step-${step}`);
    for (const [index, url] of lab.urls.entries()) {
      const account = `silent-${step}-${index}`;
      silent.push(endOfSilent(lab, { url, account, boundMs: 4 * timeoutMs }));
    }
    await Bun.sleep(timeoutMs / 3);
    stepped += by;
    lab.diary.note(`clocks: set by ${by} s`);
    const before = await stallsOf(lab);
    await Promise.all(walls.map((wall, index) => wall.set(startSeconds[index]! + stepped)));
    refused.push(...(await moveAround(lab, `moves-${step}`)));
    await Bun.sleep(noticedMs);
    stalls += (await stallsOf(lab)) - before;
    await Promise.all([...silent, expiries.end()]);
  }
  const tookMs = performance.now() - startedMs;
  const passed = await Promise.all(meters.map((meter) => meter.stop()));
  const due = (standing.length / lab.edges.length) * (tookMs / intervalMs);
  const pings = (await countPings(lab)).map((seen, at) => (seen - pingsBefore[at]!) / due);

  await tellBite(trial, lab);
  const closed = standing.filter(({ view }) => view.endedMs !== null).length;
  const note = `${standing.length} of them, ${(tookMs / 1000).toFixed(0)} s`;
  const what = "clients that answer heartbeats, closed";
  trial.measure({ promise, what, exactly: 0, measured: closed, note });
  const logins = "logins refused";
  trial.measure({ promise, what: logins, exactly: 0, measured: refused.length });
  for (const words of refused.slice(0, 5)) trial.log(words);
  tellIntervals(trial, { pings, passed, silent: await Promise.all(silent) });
  expiries.tell(trial);
  await leases.tell(trial, leaseDriftMs[trial.size]);
  const delay = "holdfast_duplicate_close_delay_seconds";
  const told = await lab.metric(`${delay}_count`);
  const late = told - (await lab.metric(`${delay}_bucket`, 'le="12"'));
  const page = "takeovers within a second that a node counts as longer than 12 s";
  trial.measure({ promise, what: page, exactly: 0, measured: late, note: `${told} of them` });
  const paused = "clocks that were taken for a pause of the node";
  trial.measure({ promise, what: paused, exactly: 0, measured: stalls });
}

/** How often a node whose clock is set held itself for paused. */
function stallsOf(lab: Lab): Promise<number> {
  const set = adminsOf(lab.edges.slice(0, startSeconds.length));
  return metric({ admins: set }, "holdfast_stalls_total");
}

/** Its own clock runs so much quicker than that of Redis. */
function rateOf(index: number): number {
  return rates[index - startSeconds.length] ?? 1;
}

/** A renewal may be a tenth later than its interval, and writes none that is younger than 0.8. */
function leftOf(size: Trial["size"], rate: number): number {
  const { leaseMs, renewMs } = times[size];
  return leaseMs - 0.8 * renewMs - (1.1 * renewMs) / rate;
}

/**
 * Each takes the seat of the one before, on another edge: within a second, the recorder checks.
 * Returns what those were told that were not let in.
 */
async function moveAround(lab: Lab, account: string): Promise<string[]> {
  const told: string[] = [];
  for (const { urls } of lab.edges) {
    const visit = await lab.enter({ url: urls[1], account }).catch(String);
    if (typeof visit === "string") told.push(visit);
    else if (visit.login === null) told.push(`status ${visit.status}`);
  }
  return told;
}

/** What is judged by each node's own clock: its heartbeats, its rates, its patience. */
function tellIntervals(
  { measure, size }: Trial,
  seen: { readonly [kind in "pings" | "passed" | "silent"]: readonly number[] },
): void {
  const percent = (part: number) => Math.round(100 * part);
  const pings = "heartbeats of a node that were answered, of those due by its clock, at least";
  const answered = Math.min(...seen.pings.map((part, index) => part / rateOf(index)));
  const least = { atLeast: pingsLeast[size], measured: percent(answered), unit: "%" };
  measure({ promise, what: pings, ...least });
  const rate = "requests that a rate let pass, of what it allows by the node's clock";
  const most = { atMost: 110, measured: percent(Math.max(...seen.passed)), unit: "%" };
  measure({ promise, what: `${rate}, at most`, ...most });
  const passed = { atLeast: 85, measured: percent(Math.min(...seen.passed)), unit: "%" };
  measure({ promise, what: `${rate}, at least`, ...passed });
  const { timeoutMs } = times[size];
  // Two for each edge, one on each transport.
  const edges = startSeconds.length + rates.length;
  const owns = seen.silent.map((ms, at) => ms * rateOf(Math.floor(at / 2) % edges));
  const note = spread(owns);
  const silence = "silence -> Close for it, by the node's clock";
  const late = { atMost: timeoutMs + slackMs[size], measured: Math.max(...owns) };
  measure({ promise, what: `${silence}, at most`, ...late, unit: "ms", note });
  const early = { atLeast: timeoutMs - earlyMs, measured: Math.min(...owns) };
  measure({ promise, what: `${silence}, at least`, ...early, unit: "ms" });
}

/** Of a fault that does not bite nothing is learnt. */
async function tellBite({ measure }: Trial, lab: Lab): Promise<void> {
  const set = lab.edges.slice(0, startSeconds.length);
  const ahead = await Promise.all(set.map(secondsAhead));
  const stepped = stepsSeconds.reduce((sum, by) => sum + by);
  const wanted = startSeconds.map((seconds) => seconds + stepped);
  const wrong = ahead.filter((seconds, index) => Math.abs(seconds - wanted[index]!) > 2);
  const what = "wall clocks that are not where they were set";
  const note = ahead.map((seconds) => `${seconds} s`).join(", ");
  measure({ promise, what, exactly: 0, measured: wrong.length, note });
}

function adminsOf(edges: readonly LabEdge[]): string[] {
  return edges.map((edge) => edge.description.admin);
}

async function enterAll(lab: Lab, count: number) {
  const visits = [];
  for (let at = 0; at < count; at++) {
    const url = lab.urls[at % lab.urls.length]!; // the remainder is in bounds
    visits.push(await lab.enter({ url, account: `clock-${at}` }));
  }
  return visits;
}

function countPings(lab: Lab): Promise<number[]> {
  const name = "holdfast_heartbeat_round_trip_seconds_count";
  return Promise.all(lab.edges.map((edge) => metric({ admins: adminsOf([edge]) }, name)));
}

/** Of the node's wall clock, as its last renewal tells. */
async function secondsAhead(edge: LabEdge): Promise<number> {
  const name = "holdfast_reconcile_last_success_timestamp_seconds";
  const read = () => metric({ admins: adminsOf([edge]) }, name);
  const before = await read();
  await until("a renewal", async () => (await read()) !== before, 30_000);
  return Math.round((await read()) - Date.now() / 1000);
}
