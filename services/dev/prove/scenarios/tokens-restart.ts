/**
 * Promise 2 on one Redis that stands still in the middle of logins, is killed and comes back with
 * its append-only file, or comes back with what it knew long ago.
 */
import { contest, countOf, issueTickets, most, type Ticket } from "../contest.ts";
import { spread } from "../figures.ts";
import { until } from "../ground.ts";
import type { Lab } from "../lab.ts";
import { askRedis } from "../redis-line.ts";
import type { Scenario, Trial } from "../scenario.ts";

const promise = 2;
const what = "sessions that one token opened, at most";
const stopMs = 4_000;
/** By then eight attempts have failed, each after 0.9 s at most, and the grace is over. */
const longStopMs = 15_000;
const successMsMax = 4_500;

export const scenario: Scenario = {
  name: "tokens-restart",
  promises: [promise],
  moves: [
    {
      row: "A11",
      fault: "Redis stands still while tokens are presented",
      metric: "holdfast_auth_total",
      label: 'kind="auth",outcome="unavailable"',
      tells: "logins were told to come again: Redis did not answer in time",
    },
    {
      row: "A11",
      fault: "Redis stands still while tokens are presented",
      metric: "holdfast_dependency_errors_total",
      label: 'dependency="redis",reason="timeout"',
      tells: "Redis hangs, or is too slow",
    },
    {
      row: "A10",
      fault: "Redis comes back with old data",
      metric: "holdfast_auth_total",
      label: 'outcome="epoch_stale"',
      tells: "tokens of before a failover or restart are refused, in one burst",
    },
  ],
  shows: "a Redis that stood still, or came back with old data, opens no session twice",
  async run(trial) {
    // As the product is set: so many failures, and so much grace, must do.
    const settings = trial.size === "short" ? { EDGE_RENEW_INTERVAL_MS: "1000" } : {};
    const durable = await trial.lab({ settings, redisArgs: ["--appendonly", "yes"] });
    await standsStill(trial, durable);
    if (trial.size === "long") await standsTooLong(trial, durable);
    await comesBack(trial, durable);
    const forgetful = await trial.lab({ settings });
    await remembersThePast(trial, forgetful);
  },
};

/** Half the tokens have three redeemers, the others one, which must not lose its token. */
async function standsStill({ measure, count }: Trial, lab: Lab): Promise<void> {
  const [redis] = lab.servers.redis;
  const tickets = await issueTickets(lab, "still", count({ short: 40, long: 2_000 }));
  const isLone = (index: number) => index % 2 === 1;
  const lone = tickets.filter((_, index) => isLone(index));
  const urls = (index: number) => around(lab, index).slice(0, isLone(index) ? 1 : 3);

  const stopped = Promise.withResolvers<void>();
  const running = contest(lab, tickets, urls, 15_000, {
    isPolite: true, // else the crowd alone keeps the nodes busy
    begin() {
      redis?.signal("SIGSTOP");
      stopped.resolve();
    },
  });
  await stopped.promise;
  await Bun.sleep(stopMs);
  redis?.signal("SIGCONT");
  const backMs = performance.now();
  const { accepts, statuses } = await running;

  const note = `${tickets.length} tokens, answers ${JSON.stringify(statuses)}`;
  const still = "Redis stopped for 4 s";
  measure({ promise, what: `${still}: ${what}`, exactly: 1, measured: most(accepts), note });
  const burnt = tickets.filter((_, index) => isLone(index) && accepts[index] === 0).length;
  const lost = `${still}: tokens burnt of clients who kept asking`;
  measure({ promise, what: lost, exactly: 0, measured: burnt });
  const waits = waitsOf(lab, lone, backMs);
  const waitedMs = waits.map((wait) => wait.waitedMs);
  measure({
    ...{ promise, what: `${still}: it answers again -> they have a session`, unit: "ms" },
    ...{ atMost: successMsMax, measured: Math.max(...waitedMs), note: spread(waitedMs) },
  });
  const moved = `${still}: of them, those who needed another connection`;
  const others = waits.filter(({ connections }) => connections !== 1).length;
  measure({ promise, what: moved, exactly: 0, measured: others });
  lab.leaveAll();
}

/** They ask on, five times a second, until they are told to come again with another token. */
async function standsTooLong({ measure, count }: Trial, lab: Lab): Promise<void> {
  const [redis] = lab.servers.redis;
  const tickets = await issueTickets(lab, "long", count({ short: 40, long: 2_000 }));
  const crowded = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  let connected = 0;
  const barrier = () => {
    if (++connected === tickets.length) crowded.resolve();
    return started.promise;
  };
  const running = tickets.map((ticket, index) => {
    const url = around(lab, index)[0]!; // there are three edges
    return lab.enter({ ...ticket, url, limit: 1000, patienceMs: 2 * longStopMs, barrier });
  });
  await crowded.promise;
  redis?.signal("SIGSTOP");
  started.resolve();
  const stoppedMs = performance.now();
  await Bun.sleep(longStopMs);
  redis?.signal("SIGCONT");
  const visits = await Promise.all(running);
  await recovered(lab);
  const second = await again(lab, tickets);

  const stood = "Redis stopped for 15 s";
  const told = visits.map(({ view }) => view.closed?.closePush);
  const wrong = told.filter((push) => push?.code !== 1 || push.reason !== "service unavailable");
  const after = visits.map(({ view }) => (view.endedMs ?? Number.POSITIVE_INFINITY) - stoppedMs);
  measure({
    ...{ promise, what: `${stood}: clients not told to come again with another token` },
    ...{ exactly: 0, measured: wrong.length, note: `closed after ${spread(after)} ms` },
  });
  // Nobody had an answer, so nobody has lost anything: the old token is as good as a new one.
  const note = `${tickets.length} tokens, ${countOf(second, 0)} opened none afterwards`;
  measure({ promise, what: `${stood}: ${what}`, atMost: 1, measured: most(second), note });
  lab.leaveAll();
}

/** From then until each had its session. */
function waitsOf({ recorder }: Lab, tickets: readonly Ticket[], sinceMs: number) {
  const views = Map.groupBy(recorder.views, ({ token }) => token);
  return tickets.map(({ token }) => {
    const mine = views.get(token) ?? [];
    const answered = mine.flatMap(({ answeredMs }) => answeredMs ?? []);
    // For ever, where there is none.
    return { waitedMs: Math.min(...answered) - sinceMs, connections: mine.length };
  });
}

/** Half of them are used when Redis dies, half are presented while it does; then all once more. */
async function comesBack({ measure, count }: Trial, lab: Lab): Promise<void> {
  const [redis] = lab.servers.redis;
  const tickets = await issueTickets(lab, "killed", count({ short: 40, long: 2_000 }));
  const half = tickets.length / 2;
  const urls = (index: number) => around(lab, index);
  const before = await contest(lab, tickets.slice(0, half), urls, 4_000);
  const running = contest(lab, tickets.slice(half), urls, 4_000);
  await Bun.sleep(10); // in the midst of them
  redis?.signal("SIGKILL");
  await redis?.restart();
  const accepts = [...before.accepts, ...(await running).accepts];
  await recovered(lab);
  const second = await again(lab, tickets);

  const sessions = accepts.map((times, index) => times + second[index]!); // as many
  const note = `${tickets.length} tokens, ${countOf(accepts, 1)} used by then`;
  measure({
    promise,
    what: `killed, with its AOF: ${what}`,
    atMost: 1,
    measured: most(sessions),
    note,
  });
  lab.leaveAll();
}

/** A dump of when no token was used takes the place of what Redis knew. */
async function remembersThePast({ measure, count }: Trial, lab: Lab): Promise<void> {
  const [redis] = lab.servers.redis;
  if (redis === undefined) return;
  const tickets = await issueTickets(lab, "past", count({ short: 40, long: 2_000 }));
  await askRedis(redis, "SAVE");
  const first = await contest(lab, tickets, (index) => around(lab, index).slice(0, 2), 4_000);
  redis.signal("SIGKILL");
  await redis.restart();
  await recovered(lab);
  const known = await askRedis(redis, "DBSIZE");
  const second = await again(lab, tickets);

  const sessions = first.accepts.map((accepts, index) => accepts + second[index]!); // as many
  const note = `${tickets.length} tokens, ${known.trim().slice(1)} keys came back`;
  measure({
    promise,
    what: `an older dump restored: ${what}`,
    exactly: 1,
    measured: most(sessions),
    note,
  });
}

async function again(lab: Lab, tickets: readonly Ticket[]): Promise<readonly number[]> {
  return (await contest(lab, tickets, (index) => around(lab, index), 4_000)).accepts;
}

function recovered(lab: Lab): Promise<void> {
  return until("Redis to be back on all edges", async () => {
    return (await lab.metric("holdfast_dependency_up", "redis")) === lab.edges.length;
  });
}

/** One address of each edge, transports in turn. */
function around({ edges }: Lab, index: number): readonly string[] {
  return edges.map(({ urls }, at) => urls[(index + at) % 2]!); // there are two
}
