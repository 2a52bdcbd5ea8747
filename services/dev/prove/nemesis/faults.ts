/**
 * What the nemesis may draw: faults of the servers, of one edge, of its links and its clock, each
 * with what ends it. Two of them may last at the same time, also of the same edge.
 */
import type { Server } from "@holdfast/servers";
import type { WallClock } from "../clocks.ts";
import type { Lab, LabEdge } from "../lab.ts";
import { createNatsLoss } from "../nats-loss.ts";
import { askRedis, primariesOf } from "../redis-line.ts";
import type { Trial } from "../scenario.ts";

export interface Fault {
  readonly what: string;
  /** Of two that last, the one whose turn is earlier ends first: who starts needs the others. */
  readonly turn: "servers" | "words" | "links" | "edges";
  begin(): unknown;
  end(): unknown;
}

const turns = ["servers", "words", "links", "edges"] as const;
const stepsSeconds = [-120, 300];

export function inTurn(faults: readonly Fault[]): readonly Fault[] {
  return faults.toSorted((one, other) => turns.indexOf(one.turn) - turns.indexOf(other.turn));
}

/** `clock`: of the first edge; null where it cannot be set. */
export function faultsOf(lab: Lab, trial: Trial, clock: WallClock | null): readonly Fault[] {
  const { edges, servers } = lab;
  const redis = servers.redis[0]!; // there is one
  const draw = trial.draw("clock");
  return [
    stopped("Redis stopped", redis),
    stopped("NATS stopped", servers.nats[0]!), // there is one
    {
      ...{ what: "Redis killed, and empty again", turn: "servers" },
      begin: () => redis.signal("SIGKILL"),
      end: () => redis.restart(),
    },
    told(redis, "Redis without memory", "CONFIG SET maxmemory 1mb", "CONFIG SET maxmemory 0"),
    told(redis, "Redis read-only", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    ...edgeFaults(edges, trial),
    ...(clock === null
      ? []
      : [
          {
            ...{ what: "the clock of an edge set", turn: "edges" as const },
            begin: () => clock.set(stepsSeconds[Math.floor(draw() * stepsSeconds.length)]!), // < 1
            end: () => clock.set(0),
          },
        ]),
  ];
}

/** Where Sentinels watch: the primary goes, and comes back as a replica of the other. */
export function failoversOf(lab: Lab, trial: Trial): readonly Fault[] {
  const { redis } = lab.servers;
  const failover = (what: string, begin: "SIGKILL" | "SIGSTOP", end: (of: Server) => unknown) => {
    let victim = redis[0]!; // there are two
    return {
      ...{ what, turn: "servers" as const },
      async begin() {
        victim = (await primariesOf(redis))[0] ?? victim;
        victim.signal(begin);
      },
      end: () => end(victim),
    };
  };
  return [
    failover("a primary killed", "SIGKILL", (victim) => victim.restart()),
    failover("a primary stopped", "SIGSTOP", (victim) => victim.signal("SIGCONT")),
    stopped("NATS stopped", lab.servers.nats[0]!), // there is one
    ...edgeFaults(lab.edges, trial),
  ];
}

function stopped(what: string, who: { signal(name: "SIGSTOP" | "SIGCONT"): void }): Fault {
  return {
    ...{ what, turn: "servers" },
    begin: () => who.signal("SIGSTOP"),
    end: () => who.signal("SIGCONT"),
  };
}

function told(redis: Server, what: string, on: string, off: string): Fault {
  return {
    ...{ what, turn: "words" },
    begin: () => void askRedis(redis, on).catch(() => {}), // it heals by what is said at the end
    end: () => askRedis(redis, off),
  };
}

function edgeFaults(edges: readonly LabEdge[], { draw }: Trial): readonly Fault[] {
  const choose = draw("edges");
  const ofOne = (
    turn: Fault["turn"],
    what: string,
    begin: (edge: LabEdge) => void,
    end: (edge: LabEdge) => unknown,
  ): Fault => {
    let edge = edges[0]!; // whose turn it is; drawn anew each time
    return {
      ...{ what, turn },
      begin() {
        edge = edges[Math.floor(choose() * edges.length)]!; // the draw is below 1
        begin(edge);
      },
      end: () => end(edge),
    };
  };
  /** Those there are: a Redis that has replicas is reached without. */
  const links = ({ redisLink, natsLink }: LabEdge) => [redisLink ?? [], natsLink ?? []].flat();
  const loss = createNatsLoss(0.3, draw("loss"));
  const all = [
    ofOne(
      "edges",
      "edge killed",
      (one) => one.child.signal("SIGKILL"),
      (one) => one.start(),
    ),
    ofOne(
      "edges",
      "edge stopped",
      (one) => one.child.signal("SIGSTOP"),
      (one) => one.child.signal("SIGCONT"),
    ),
    ofOne(
      "links",
      "edge cut off from Redis",
      (one) => one.redisLink?.silence(),
      (one) => one.redisLink?.heal(),
    ),
    ofOne(
      "links",
      "edge cut off from NATS",
      (one) => one.natsLink?.silence(),
      (one) => one.natsLink?.heal(),
    ),
    ofOne(
      "links",
      "edge cut off from both",
      (one) => links(one).forEach((link) => void link.cut()),
      (one) => links(one).forEach((link) => void link.heal()),
    ),
    ofOne(
      "links",
      "edge far away",
      (one) => links(one).forEach((link) => void link.delay(50)),
      (one) => links(one).forEach((link) => void link.delay(0)),
    ),
    ofOne(
      "links",
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
  const isLinked = edges[0]?.redisLink !== null;
  return all.filter(({ what }) => isLinked || !/Redis|both/.test(what));
}
