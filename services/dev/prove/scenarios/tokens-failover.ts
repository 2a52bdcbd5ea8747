/**
 * Promise 2 through failovers of Redis. Under Sentinel the primary stands still until its replica
 * was promoted, and then goes on beside it: for some seconds both take writes, and an edge on each
 * side accepts logins. In a Cluster one primary after the other, in the midst of them, stands still
 * or is killed and comes back as a replica.
 */
import type { Server } from "@holdfast/servers";
import { contest, countOf, issueTickets, most } from "../contest.ts";
import { until } from "../ground.ts";
import type { Lab } from "../lab.ts";
import { isPrimary, primariesOf, replicated } from "../redis-line.ts";
import type { Scenario, Trial } from "../scenario.ts";

const promise = 2;
const settings = { EDGE_STORE_FAILURES_MAX: "100", EDGE_REFUSAL_GRACE_MS: "20000" };

export const scenario: Scenario = {
  name: "tokens-failover",
  promises: [promise],
  moves: [
    {
      row: "A10",
      fault: "Redis fails over, and the old primary goes on",
      metric: "holdfast_auth_total",
      label: 'outcome="epoch_stale"',
      tells: "tokens of before a failover or restart are refused, in one burst",
    },
  ],
  shows: "a failover opens no session twice, not even while both primaries take writes",
  async run(trial) {
    await bothSides(trial);
    await inCluster(trial);
  },
};

async function bothSides(trial: Trial): Promise<void> {
  const { lab, count, log, measure } = trial;
  const rounds = count({ short: 1, long: 14 });
  const ground = await lab({
    ...{ redis: "sentinel", settings, edges: 3 },
    // Two that no Sentinel can call away: of each pair of primaries one of them has the old one.
    settingsOf: (index, { redis }) => ({
      ...(redis[index] && { EDGE_REDIS_URL: redis[index].url }),
    }),
  });
  const nodes = ground.servers.redis;
  const accepts: number[] = [];
  const opened = [0, 0, 0];
  for (let round = 0; round < rounds; round++) {
    await replicated(nodes);
    const old = (await primariesOf(nodes))[0]!; // `replicated` has seen one
    const other = nodes.find((node) => node !== old)!; // there are two
    const tickets = await issueTickets(ground, `sides-${round}`, count({ short: 100, long: 500 }));
    // Each is known to both, and unused.
    await replicated(nodes);
    old.signal("SIGSTOP");
    await until("the replica to be promoted", () => isPrimary(other), 30_000);
    old.signal("SIGCONT");
    await until("the old primary to go on", () => isPrimary(old));

    // The edge of the old primary, that of the new one, and the one that asks the Sentinels.
    const edges = [nodes.indexOf(old), nodes.indexOf(other), nodes.length];
    const results = await Promise.all(
      edges.map((edge) => contest(ground, tickets, () => ground.edges[edge]!.urls, 3_000)),
    );
    const both = (await primariesOf(nodes)).length;
    log(`round ${round + 1}: ${both} primaries at the end of it`);
    for (const [at, result] of results.entries()) opened[at]! += countOf(result.accepts, 1);
    accepts.push(...tickets.map((_, at) => total(results.map((one) => one.accepts[at] ?? 0))));
    ground.leaveAll();
  }
  const sides = `opened at the old primary's edge ${opened[0]}, the new one's ${opened[1]}`;
  const note = `${rounds} failovers, ${accepts.length} tokens; ${sides}, the Sentinels' ${opened[2]}`;
  const what = "Sentinel, both sides serving: sessions that one token opened, at most";
  measure({ promise, what, atMost: 1, measured: most(accepts), note });
  // Else nobody was there whose token could have been used twice.
  const bite = "Sentinel, both sides serving: tokens that the old side still opened";
  const floor = trial.size === "long" ? { atLeast: 1 } : {}; // a slow machine may come too late
  measure({ promise, what: bite, measured: opened[0]!, ...floor });
}

async function inCluster(trial: Trial): Promise<void> {
  const { lab, count, measure } = trial;
  const rounds = count({ short: 0, long: 6 });
  if (rounds === 0) return;
  const ground = await lab({ redis: "cluster", settings });
  const accepts: number[] = [];
  let [isBack, kills] = [0, 0];
  for (let round = 0; round < rounds; round++) {
    const nodes = ground.servers.redis;
    await replicated(nodes);
    const primaries = await primariesOf(nodes);
    const victim = primaries[round % primaries.length]!; // the remainder is in bounds
    const tickets = await issueTickets(ground, `shard-${round}`, count({ short: 100, long: 500 }));
    await replicated(nodes);
    const running = contest(ground, tickets, (index) => around(ground, index), 15_000);
    await Bun.sleep(10);
    const isKilled = round % 2 === 1;
    victim.signal(isKilled ? "SIGKILL" : "SIGSTOP");
    await promoted(nodes, primaries, victim);
    if (isKilled) {
      kills++;
      await victim.restart();
    } else victim.signal("SIGCONT");
    const first = await running;
    const second = await contest(ground, tickets, (index) => around(ground, index), 5_000);
    accepts.push(...first.accepts.map((sessions, index) => sessions + second.accepts[index]!));
    isBack += countOf(second.accepts, 1);
    ground.leaveAll();
  }
  const failovers = `${rounds - kills} hang, ${kills} are killed`;
  const note = `${failovers}; ${accepts.length} tokens, ${isBack} opened after it only`;
  const what = "Cluster, a primary goes amid logins: sessions that one token opened, at most";
  measure({ promise, what, atMost: 1, measured: most(accepts), note });
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** Somebody is a primary who was none. */
function promoted(
  nodes: readonly Server[],
  before: readonly Server[],
  victim: Server,
): Promise<void> {
  const others = nodes.filter((node) => node !== victim && !before.includes(node));
  const isDone = async () => (await primariesOf(others)).length > 0;
  return until("a replica to be promoted", isDone, 30_000);
}

/** One address of each edge, transports in turn. */
function around({ edges }: Lab, index: number): readonly string[] {
  return edges.map(({ urls }, at) => urls[(index + at) % 2]!); // there are two
}
