/**
 * Promise 1 where Redis forgets who came last: the replica gets no more writes, newer logins take
 * the places of older ones, and then the primary dies or hangs. What is promoted knows the older
 * ones only. While that goes on NATS is silent for the node of the older ones in every other round,
 * so that they are still there.
 */
import type { Server } from "@holdfast/servers";
import { spread } from "../figures.ts";
import { until } from "../ground.ts";
import { inTurn } from "../in-turn.ts";
import type { Lab } from "../lab.ts";
import { askRedis, primariesOf, replicated } from "../redis-line.ts";
import type { Scenario, Trial } from "../scenario.ts";
import type { Visit } from "../visit.ts";

const promise = 1;
const afterPromotionMs = 12_000;
const failoverMsMax = 15_000;

export const scenario: Scenario = {
  name: "failover-lost-login",
  promises: [promise],
  makesStale: "long",
  moves: [
    {
      row: "A6",
      fault: "a replica takes over that had not heard of the newer login",
      metric: "holdfast_redis_epoch_changes_total",
      tells:
        "Redis failed over or restarted: unused tokens are void, and live seats are written back",
    },
    {
      row: "A6",
      fault: "a replica takes over that had not heard of the newer login",
      metric: "holdfast_kicks_repeated_total",
      tells: "nodes had to say again who was displaced: nobody acknowledges it",
    },
  ],
  shows: "a failover that lost the newer logins leaves one connection an account, the newer one",
  async run(trial) {
    await failOver(trial, "sentinel", trial.count({ short: 1, long: 12 }));
    await failOver(trial, "cluster", trial.count({ short: 0, long: 8 }));
  },
};

async function failOver(
  trial: Trial,
  redis: "sentinel" | "cluster",
  rounds: number,
): Promise<void> {
  if (rounds === 0) return;
  const settings = {
    EDGE_FLAP_DISPLACEMENTS_MAX: "0",
  };
  const lab = await trial.lab({ redis, settings, isLinked: true, isFenced: true });
  const healsMs: number[] = [];
  const survivors = { newer: 0, older: 0, none: 0, both: 0 };
  let standing = 0; // older ones, when the replica was promoted
  for (let round = 0; round < rounds; round++) {
    const { pairs, healedMs, promotedMs } = await playRound(trial, lab, round);
    healsMs.push(healedMs);
    standing += pairs.filter(
      ({ older }) => (older.view.endedMs ?? promotedMs) >= promotedMs,
    ).length;
    for (const { older, newer } of pairs) survivors[survivorOf(older, newer)]++;
    for (const { newer } of pairs) lab.leave(newer);
    trial.log(`${redis}, round ${round + 1}: one connection each ${Math.round(healedMs)} ms after`);
  }
  const what = `${redis}: replica promoted -> one connection an account, and one seat`;
  const measured = Math.max(...healsMs);
  const stood = `${standing} older connections stood at the promotion`;
  const note = `${rounds} failovers, ${stood}, ${spread(healsMs)}`;
  trial.measure({ promise, what, atMost: afterPromotionMs, measured, unit: "ms", note });
  const wrong = survivors.older + survivors.none + survivors.both;
  const counts = JSON.stringify(survivors);
  const who = `${redis}: accounts whose survivor was not the newer login`;
  trial.measure({ promise, what: who, exactly: 0, measured: wrong, note: counts });
}

interface Pair {
  readonly older: Visit;
  readonly newer: Visit;
}

interface Round {
  readonly pairs: readonly Pair[];
  readonly promotedMs: number;
  readonly healedMs: number;
}

async function playRound(trial: Trial, lab: Lab, round: number): Promise<Round> {
  const nodes = lab.servers.redis;
  const accounts = trial.count({ short: 40, long: 150 });
  await replicated(nodes);
  await until("Redis to be back on all edges", async () => {
    return (await lab.metric("holdfast_dependency_up", "redis")) === lab.edges.length;
  });
  const [here, ...others] = lab.edges;
  const names = Array.from({ length: accounts }, (_, index) => `round ${round} ${index}`);
  const older = await inTurn(names, (account, index) => {
    return lab.enter({ url: here!.urls[index % 2]!, account }); // there are three edges
  });
  await Bun.sleep(200); // replication is asynchronous
  await replicated(nodes);
  const primaries = await primariesOf(nodes);
  const victim = primaries[round % primaries.length]!; // `replicated` has seen one

  const healed = lab.allowOverlap(failoverMsMax + afterPromotionMs);
  const isSilent = round % 2 === 0;
  if (isSilent) here?.natsLink?.silence();
  await stopReplication(victim);
  const newer = await inTurn(names, (account, index) => {
    const { urls } = others[index % others.length]!; // the remainder is in bounds
    return lab.enter({ url: urls[Math.floor(index / 2) % 2]!, account });
  });
  const isKilled = round % 4 >= 2; // a hang is the harder one
  victim.signal(isKilled ? "SIGKILL" : "SIGSTOP");
  await until("a replica to be promoted", () => hasNewPrimary(nodes, primaries), 30_000);
  const promotedMs = performance.now();
  here?.natsLink?.heal();

  const pairs = names.map((_, index) => ({ older: older[index]!, newer: newer[index]! }));
  const isInTime = await until("one seat an account", () => isHealed(lab, pairs), 30_000).then(
    () => true,
    () => false,
  );
  const healedMs = isInTime ? performance.now() - promotedMs : Number.POSITIVE_INFINITY;
  await revive(victim, isKilled);
  healed();
  return { pairs, healedMs, promotedMs };
}

/** Its replicas are sent away, and may not come back; everybody else is served as before. */
async function stopReplication(primary: Server): Promise<void> {
  await askRedis(primary, "ACL SETUSER default -psync -sync");
  await askRedis(primary, "CLIENT KILL TYPE replica");
}

async function revive(server: Server, wasKilled: boolean): Promise<void> {
  if (wasKilled) await server.restart();
  else {
    server.signal("SIGCONT");
    await until("the old primary to answer", async () => {
      return askRedis(server, "ACL SETUSER default +psync +sync").then(
        () => true,
        () => false,
      );
    });
  }
}

async function hasNewPrimary(
  nodes: readonly Server[],
  before: readonly Server[],
): Promise<boolean> {
  return (await primariesOf(nodes.filter((node) => !before.includes(node)))).length > 0;
}

/** One connection is left, and the seat that the registry tells of is its own. */
async function isHealed(lab: Lab, pairs: readonly Pair[]): Promise<boolean> {
  for (const { older, newer } of pairs) {
    const who = survivorOf(older, newer);
    if (who === "both") return false;
    if (who === "none") continue;
    const { account, sid } = (who === "newer" ? newer : older).view;
    const seats = await lab.registry.seats(account).catch(() => []);
    if (seats.length !== 1 || !sid.endsWith(`.${seats[0]?.sid}`)) return false;
  }
  return true;
}

function survivorOf(older: Visit, newer: Visit): "older" | "newer" | "none" | "both" {
  const [isOlder, isNewer] = [older, newer].map(({ view, login }) => {
    return login !== null && view.endedMs === null;
  });
  if (isOlder && isNewer) return "both";
  if (isOlder) return "older";
  return isNewer ? "newer" : "none";
}
