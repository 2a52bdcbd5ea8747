/**
 * Promises 1, 2, 3 and 5 against faults that a seed draws, one after the other, under a crowd that
 * behaves as badly as real ones. Bounds while a fault lasts have scenarios of their own; here
 * everything must be true again afterwards.
 */
import { until } from "../ground.ts";
import type { Lab, LabEdge } from "../lab.ts";
import { startLoad } from "../load.ts";
import { createNatsLoss } from "../nats-loss.ts";
import { askRedis } from "../redis-line.ts";
import type { Scenario, Trial } from "../scenario.ts";

const healsMs = 60_000;
const faultMs = { short: 1_500, long: 8_000 };
const restMs = { short: 500, long: 4_000 };

interface Fault {
  readonly what: string;
  begin(): void;
  end(): unknown;
}

export const scenario: Scenario = {
  name: "nemesis",
  promises: [1, 2, 3, 5],
  moves: [],
  shows: "whatever faults a seed draws, everything is true again within a minute",
  async run(trial) {
    const { lab, seed, draw, count, measure, log, size } = trial;
    const ground = await lab({
      ...{ isLinked: true, isFenced: true },
      settings: { EDGE_FLAP_DISPLACEMENTS_MAX: "0", EDGE_STORE_FAILURES_MAX: "100" },
    });
    const { recorder } = ground;
    const crowd = { players: count({ short: 40, long: 80 }), accounts: 25, prefix: "crowd" };
    const healed = ground.allowOverlap(healsMs);
    const load = startLoad({ cluster: ground, recorder, seed, ...crowd });
    ground.leavesToo(load.leave);
    ground.backend?.hears(() => load.open);
    const choose = draw("faults");
    const faults = faultsOf(ground, trial);
    const told: string[] = [];
    let left: Fault[] = []; // each comes once before any comes again
    for (let round = 0; round < count({ short: 4, long: 60 }); round++) {
      if (left.length === 0) left = [...faults];
      const [fault] = left.splice(Math.floor(choose() * left.length), 1);
      if (fault === undefined) continue; // the draw is below 1, so there is one
      told.push(fault.what);
      fault.begin();
      await Bun.sleep(faultMs[size]);
      await fault.end();
      await Bun.sleep(restMs[size]);
    }
    log(told.join(", "));
    const endedMs = performance.now();
    await load.settle();
    healed();
    await until("all edges to reach Redis and NATS", () => isUp(ground), healsMs);
    await until("one seat for each connection", () => isTrue(ground), healsMs).catch(() => {});
    const took = { measured: performance.now() - endedMs, unit: "ms" };
    const note = `${told.length} faults, ${recorder.views.length} connections`;
    const what = "last fault healed -> every connection has its seat, every seat its connection";
    measure({ promise: 5, what, atMost: healsMs, ...took, note });
    for (const words of load.surprises.slice(0, 5)) log(words);
    const surprises = "answers that no client may get, or none at all";
    measure({ promise: 5, what: surprises, exactly: 0, measured: load.surprises.length });
  },
};

function faultsOf({ edges, servers }: Lab, { draw }: Trial): readonly Fault[] {
  const [redis, nats] = [servers.redis[0]!, servers.nats[0]!]; // there is one of each
  const choose = draw("edges");
  let edge = edges[0]!; // whose turn it is; drawn anew with each fault of one
  const ofOne = (
    what: string,
    begin: (edge: LabEdge) => void,
    end: (edge: LabEdge) => unknown,
  ) => ({
    what,
    begin() {
      edge = edges[Math.floor(choose() * edges.length)]!; // the draw is below 1
      begin(edge);
    },
    end: () => end(edge),
  });
  const stopped = (what: string, who: { signal(name: "SIGSTOP" | "SIGCONT"): void }) => ({
    what,
    begin: () => who.signal("SIGSTOP"),
    end: () => who.signal("SIGCONT"),
  });
  const told = (what: string, on: string, off: string) => ({
    what,
    begin: () => void askRedis(redis, on).catch(() => {}), // it heals by what is said at the end
    end: () => askRedis(redis, off),
  });
  const links = ({ redisLink, natsLink }: LabEdge) => [redisLink!, natsLink!]; // the lab is linked
  const loss = createNatsLoss(0.3, draw("loss"));
  return [
    stopped("Redis stopped", redis),
    stopped("NATS stopped", nats),
    {
      what: "Redis killed, and empty again",
      begin: () => redis.signal("SIGKILL"),
      end: () => redis.restart(),
    },
    told("Redis without memory", "CONFIG SET maxmemory 1mb", "CONFIG SET maxmemory 0"),
    told("Redis read-only", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    ofOne(
      "edge killed",
      (one) => one.child.signal("SIGKILL"),
      (one) => one.start(),
    ),
    ofOne(
      "edge stopped",
      (one) => one.child.signal("SIGSTOP"),
      (one) => one.child.signal("SIGCONT"),
    ),
    ofOne(
      "edge cut off from Redis",
      (one) => links(one)[0]?.silence(),
      (one) => links(one)[0]?.heal(),
    ),
    ofOne(
      "edge cut off from NATS",
      (one) => links(one)[1]?.silence(),
      (one) => links(one)[1]?.heal(),
    ),
    ofOne(
      "edge cut off from both",
      (one) => links(one).forEach((link) => void link.cut()),
      (one) => links(one).forEach((link) => void link.heal()),
    ),
    ofOne(
      "edge far away",
      (one) => links(one).forEach((link) => void link.delay(50)),
      (one) => links(one).forEach((link) => void link.delay(0)),
    ),
    ofOne(
      "edge that hears 7 messages in 10",
      ({ natsLink }) => {
        natsLink?.filter(loss.make);
        natsLink?.reset();
      },
      ({ natsLink }) => {
        natsLink?.filter(null);
        natsLink?.reset();
      },
    ),
  ];
}

async function isUp(lab: Lab): Promise<boolean> {
  const [redis, nats] = await Promise.all([
    lab.metric("holdfast_dependency_up", "redis"),
    lab.metric("holdfast_dependency_up", "nats"),
  ]);
  return redis === lab.edges.length && nats === lab.edges.length;
}

async function isTrue({ recorder, registry }: Lab): Promise<boolean> {
  const open = new Map<string, number>();
  for (const { account, answeredMs, endedMs } of recorder.views) {
    const isOpen = answeredMs !== null && endedMs === null;
    open.set(account, (open.get(account) ?? 0) + (isOpen ? 1 : 0));
  }
  for (const [account, count] of open) {
    const seats = await registry.seats(account).catch(() => null);
    if (seats?.length !== count) return false;
  }
  return true;
}
