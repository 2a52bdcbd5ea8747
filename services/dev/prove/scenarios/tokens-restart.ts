/**
 * Promise 2 on one Redis that stands still in the middle of logins, is killed and comes back with
 * its append-only file, or comes back with what it knew long ago.
 */
import { contest, countOf, issueTickets, most, type Ticket } from "../contest.ts";
import { until } from "../ground.ts";
import type { Lab } from "../lab.ts";
import { askRedis } from "../redis-line.ts";
import type { Scenario, Trial } from "../scenario.ts";

const promise = 2;
const what = "sessions that one token opened, at most";
const settings = {
  EDGE_RENEW_INTERVAL_MS: "1000",
  EDGE_STORE_FAILURES_MAX: "100",
  EDGE_REFUSAL_GRACE_MS: "20000",
};

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
    const durable = await trial.lab({ settings, redisArgs: ["--appendonly", "yes"] });
    await standsStill(trial, durable);
    await comesBack(trial, durable);
    const forgetful = await trial.lab({ settings });
    await remembersThePast(trial, forgetful);
  },
};

/** Half the tokens have three redeemers, the others one, which must not lose its token. */
async function standsStill({ measure, count }: Trial, lab: Lab): Promise<void> {
  const [redis] = lab.servers.redis;
  const tickets = await issueTickets(lab, "still", count({ short: 40, long: 2_000 }));
  const wanted = new Set(tickets.filter((_, index) => index % 2 === 0));
  const urls = (index: number) => {
    const all = around(lab, index);
    return index % 2 === 0 ? all : all.slice(0, 1);
  };

  redis?.signal("SIGSTOP");
  const running = contest(lab, tickets, urls, 15_000);
  await Bun.sleep(3_000); // longer than a call waits, shorter than a client
  redis?.signal("SIGCONT");
  const { accepts, statuses } = await running;

  const note = `${tickets.length} tokens, answers ${JSON.stringify(statuses)}`;
  measure({
    promise,
    what: `Redis stopped for 3 s: ${what}`,
    exactly: 1,
    measured: most(accepts),
    note,
  });
  const burnt = tickets.filter((ticket, at) => !wanted.has(ticket) && accepts[at] === 0).length;
  const lost = "Redis stopped for 3 s: tokens burnt of clients who kept asking";
  measure({ promise, what: lost, exactly: 0, measured: burnt });
  lab.leaveAll();
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
