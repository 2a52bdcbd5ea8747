/**
 * Promise 1 for logins of a node that is cut off, from Redis only or from NATS only, while others
 * take their places elsewhere: the news comes by the way that is left.
 */
import { spread } from "../figures.ts";
import { until } from "../ground.ts";
import type { Lab } from "../lab.ts";
import type { Move } from "../moves.ts";
import type { Scenario, Trial } from "../scenario.ts";

const takeoversPerSecond = 5;
const cuts = {
  // It is shorter than the 40 s after which such a node gives its connections to the others.
  redis: { name: "Redis", boundMs: 1000 },
  nats: { name: "NATS", boundMs: 6000 },
} as const;

const moves = {
  redis: {
    row: "A3",
    fault: "a node is cut off from Redis only",
    metric: "holdfast_dependency_errors_total",
    label: 'dependency="redis"',
    isLongOnly: true, // a second may pass without a call to Redis
    tells: "calls to Redis failed; `reason` says how",
  },
  nats: {
    row: "A3",
    fault: "a node is cut off from NATS only",
    metric: "holdfast_duplicate_closes_total",
    label: 'found_by="reconcile"',
    tells: "older connections are found by renewal: NATS loses the news",
  },
} as const satisfies Record<string, Move>;

export const scenario: Scenario = {
  name: "cut-off",
  promises: [1],
  makesStale: "long",
  moves: Object.values(moves),
  shows: "a node that is cut off from Redis only, or from NATS only, still closes who is displaced",
  async run(trial) {
    const lab = await trial.lab({
      ...{ isLinked: true, isFenced: true },
      settings: {
        EDGE_FLAP_DISPLACEMENTS_MAX: "0",
        // The bound stays that of the default interval of 5 s.
        ...(trial.size === "short" ? { EDGE_RENEW_INTERVAL_MS: "2000" } : {}),
      },
    });
    for (const from of ["redis", "nats"] as const) {
      await trial.watching(lab, [moves[from]], () => takeOver(trial, lab, from));
    }
  },
};

async function takeOver(trial: Trial, lab: Lab, from: keyof typeof cuts): Promise<void> {
  const { name, boundMs } = cuts[from];
  const [here, ...others] = lab.edges;
  const link = from === "redis" ? here?.redisLink : here?.natsLink;
  if (here === undefined || link == null) throw new Error(`Cannot cut off from ${name}`);
  const elsewhere = others.flatMap((edge) => edge.urls);
  const count = takeoversPerSecond * trial.count({ short: 1, long: 30 });
  const names = Array.from({ length: count }, (_, index) => `${from} ${index}`);
  const older = await Promise.all(
    names.map((account, index) => lab.enter({ url: here.urls[index % 2]!, account })),
  );
  await Bun.sleep(500); // all have their whole leases

  link.silence();
  const healed = lab.allowOverlap(boundMs);
  const newer = await Promise.all(
    names.map(async (account, index) => {
      await Bun.sleep((index / takeoversPerSecond) * 1000);
      return lab.enter({ url: elsewhere[index % elsewhere.length]!, account });
    }),
  );
  const closes = await Promise.all(
    older.map(({ wire }) => wire.waitClosed(4 * boundMs).catch(() => null)),
  );
  link.heal();
  healed();
  await until(`${name} to be back`, async () => {
    return (await lab.metric("holdfast_dependency_up", from)) === lab.edges.length;
  });

  const overlapsMs = older.map(({ view }, index) => {
    return (view.endedMs ?? Number.POSITIVE_INFINITY) - (newer[index]?.view.answeredMs ?? 0);
  });
  const wrong =
    closes.filter((closed) => closed?.closePush?.code !== 6).length +
    newer.filter(({ login, view }) => login === null || view.endedMs !== null).length;
  const what = `cut off from ${name}: newer login answered -> older connection closed`;
  const measured = Math.max(...overlapsMs);
  const note = spread(overlapsMs);
  trial.measure({ promise: 1, what, atMost: boundMs, measured, unit: "ms", note });
  const victims = `cut off from ${name}: wrong victims`;
  trial.measure({ promise: 1, what: victims, exactly: 0, measured: wrong });
  for (const visit of newer) lab.leave(visit);
}
