/**
 * Promise 5, Redis: it is killed, stands still, is cut off, or answers and refuses, for half a
 * minute, and comes back with or without its data.
 */
import { exchange, type Server } from "@holdfast/servers";
import type { Lab, LabOptions } from "../lab.ts";
import type { Move } from "../moves.ts";
import { measureOutage, type Outage } from "../outage.ts";
import { displacing, reportOverlaps } from "../pairs.ts";
import type { Scenario, Trial } from "../scenario.ts";
import { watchTokenApi } from "../token-api.ts";

interface Case extends Pick<Outage, "name" | "sessions"> {
  readonly isLongOnly?: boolean;
  /** What its calls fail with, as they are counted. */
  readonly reason: keyof typeof tells;
  begin(lab: Lab): unknown;
  end(lab: Lab): unknown;
}

const tells = {
  oom: "Redis is full and takes no write",
  readonly: "the node writes to a replica: a failover under way, or a wrong address",
  timeout: "Redis hangs, is too slow, or cannot be reached",
  refused: "nobody listens at Redis's address, or who does still reads its data",
} as const;

const server = ({ servers }: Lab): Server => servers.redis[0]!; // there is always one

const plain: readonly Case[] = [
  {
    ...{ name: "Redis out of memory", reason: "oom", sessions: "kept" },
    begin: (lab) => command(server(lab), "CONFIG SET maxmemory 1"),
    end: (lab) => command(server(lab), "CONFIG SET maxmemory 0"),
  },
  {
    ...{ name: "Redis read-only", reason: "readonly", sessions: "kept", isLongOnly: true },
    begin: (lab) => command(server(lab), "REPLICAOF 127.0.0.1 1"), // nobody listens there
    end: (lab) => command(server(lab), "REPLICAOF NO ONE"),
  },
  {
    ...{ name: "Redis standing still", reason: "timeout", sessions: "kept", isLongOnly: true },
    begin: (lab) => server(lab).signal("SIGSTOP"),
    end: (lab) => server(lab).signal("SIGCONT"),
  },
  {
    ...{ name: "Redis killed, back without its data", reason: "refused", sessions: "lost" },
    begin: (lab) => server(lab).signal("SIGKILL"),
    end: (lab) => server(lab).restart(),
  },
];

const durable: readonly Case[] = [
  {
    ...{
      name: "Redis killed, back after loading its data",
      reason: "refused", // nothing is asked of it before it is ready
      sessions: "kept",
      isLongOnly: true,
    },
    begin: (lab) => server(lab).signal("SIGKILL"),
    end: (lab) => server(lab).restart(),
  },
];

const linked: readonly Case[] = [
  {
    ...{
      name: "Redis cut off without a word",
      reason: "timeout",
      sessions: "kept",
      isLongOnly: true,
    },
    begin: ({ edges }) => edges.forEach(({ redisLink }) => void redisLink?.silence()),
    end: ({ edges }) => edges.forEach(({ redisLink }) => void redisLink?.heal()),
  },
];

/**
 * Redis reads its data for some seconds, however much there is: it sleeps at each command of its
 * log, or, where the number is negative, a moment at one of so many.
 */
function slowToLoad({ count }: Pick<Trial, "count">): readonly string[] {
  const eachUs = 60_000 / count({ short: 120, long: 3_000 });
  const delay = eachUs > sleepUs ? eachUs - sleepUs : -sleepUs / eachUs;
  return ["--appendonly", "yes", "--key-load-delay", String(Math.round(delay))];
}

const sleepUs = 56; // the shortest that Linux allows by default

type GroundOf = (trial: Trial) => LabOptions;

const grounds: readonly (readonly [GroundOf, readonly Case[]])[] = [
  [() => ({}), plain],
  [(trial) => ({ redisArgs: slowToLoad(trial) }), durable],
  [() => ({ isLinked: true }), linked],
];

const cases = new Map(
  grounds.flatMap(([, all]) => all.map((one): [Case, Move] => [one, moveOf(one)])),
);

function moveOf({ name, reason, isLongOnly = false }: Case): Move {
  const metric = "holdfast_dependency_errors_total";
  const label = `dependency="redis",reason="${reason}"`;
  return { row: "B3", fault: name, metric, label, isLongOnly, tells: tells[reason] };
}

export const scenario: Scenario = {
  name: "redis-away",
  promises: [5],
  moves: [
    {
      row: "B3",
      fault: "logins come while Redis is away",
      metric: "holdfast_auth_total",
      label: 'outcome="unavailable"',
      tells: "logins were told to come again: Redis did not answer in time",
    },
    {
      row: "B3",
      fault: "logins come while Redis is away",
      metric: "holdfast_connections_rejected_total",
      label: 'transport="ws",reason="admission"',
      tells: "upgrades get 503, since their logins could not be served",
    },
    ...cases.values(),
  ],
  shows: "Redis may go for 30 s, however it goes: who is in stays in, who comes is told to wait",
  async run(trial) {
    for (const [groundOf, all] of grounds) {
      const some = all.filter(({ isLongOnly }) => trial.size === "long" || !isLongOnly);
      if (some.length === 0) continue;
      const options = groundOf(trial);
      const lab = await trial.lab(options);
      const api = await watchTokenApi(lab);
      // It has no link of its own that could be cut.
      const allowed = options.isLinked ? ["200"] : ["200", "503"];
      const others = [{ who: "token API", seen: api.answers, allowed }];
      try {
        for (const one of some) {
          const { name, sessions } = one;
          const displaced = displacing(lab, name);
          const outage = { name, sessions, begin: () => one.begin(lab), end: () => one.end(lab) };
          await trial.watching(lab, [cases.get(one)!], () => {
            return measureOutage(trial, lab, { of: "redis", ...displaced.during(outage), others });
          });
          reportOverlaps(trial, name, await displaced.overlapsMs());
        }
      } finally {
        await api.stop();
      }
    }
  },
};

async function command({ host, port }: Server, line: string): Promise<void> {
  const isComplete = (text: string) => text.endsWith("\r\n");
  const answer = await exchange({ host, port, send: `${line}\r\n`, isComplete });
  if (!answer.startsWith("+OK")) throw new Error(`Redis answered ${line}: ${answer.trim()}`);
}
