/**
 * Promise 1 while NATS does not carry the news: the server of the older connection's node is
 * killed, stands still, is cut off from the others, or loses three messages in ten.
 */

import { spread } from "../figures.ts";
import { until } from "../ground.ts";
import type { Lab } from "../lab.ts";
import type { Move } from "../moves.ts";
import { createNatsLoss } from "../nats-loss.ts";
import type { Scenario, Trial } from "../scenario.ts";

const boundMs = 6_000;

const byRenewal = {
  row: "A2",
  metric: "holdfast_duplicate_closes_total",
  label: 'found_by="reconcile"',
  tells: "older connections are found by renewal: NATS loses the news",
} as const;

const moves = {
  stopped: { ...byRenewal, fault: "the NATS server of a node stands still" },
  killed: { ...byRenewal, fault: "the NATS server of a node is killed", isLongOnly: true },
  cut: { ...byRenewal, fault: "NATS servers are cut off from each other" },
  loss: {
    row: "A2",
    fault: "three NATS messages in ten are lost",
    metric: "holdfast_kicks_repeated_total",
    tells: "nodes had to say again who was displaced: nobody acknowledges it",
  },
} as const satisfies Record<string, Move>;

interface Fault {
  readonly what: string;
  readonly move: Move;
  readonly isLongOnly?: boolean;
  begin(): void;
  end(): void | Promise<void>;
}

export const scenario: Scenario = {
  name: "takeovers-unheard",
  promises: [1],
  makesStale: "always",
  moves: Object.values(moves),
  shows: "where NATS loses the news, the older connection is closed by the next renewal",
  async run(trial) {
    const ground = await trial.lab({
      ...{ nats: 3, isLinked: true, isFenced: true },
      settings: {
        EDGE_FLAP_DISPLACEMENTS_MAX: "0",
        // The bound stays that of the default interval of 5 s.
        ...(trial.size === "short" ? { EDGE_RENEW_INTERVAL_MS: "2000" } : {}),
      },
    });
    for (const fault of faultsOf(ground, trial)) {
      if (trial.size === "short" && fault.isLongOnly) continue;
      await trial.watching(ground, [fault.move], () => displaceUnder(fault, ground, trial));
    }
  },
};

/** All of them lie on the first edge's way to the others. */
function faultsOf({ servers, edges }: Lab, { draw, log }: Trial): readonly Fault[] {
  const [server] = servers.nats;
  const link = edges[0]?.natsLink;
  if (server === undefined || link == null) throw new Error("Cannot break what is not there");
  const loss = createNatsLoss(0.3, draw("loss"));
  return [
    {
      what: "NATS server stopped",
      move: moves.stopped,
      begin: () => server.signal("SIGSTOP"),
      end: () => server.signal("SIGCONT"),
    },
    {
      what: "NATS server killed",
      move: moves.killed,
      isLongOnly: true,
      begin: () => server.signal("SIGKILL"),
      end: () => server.restart(),
    },
    {
      what: "NATS routes cut",
      move: moves.cut,
      begin: () => {
        for (const route of servers.natsRoutes) route.cut();
      },
      end: () => {
        for (const route of servers.natsRoutes) route.heal();
      },
    },
    {
      what: "30 % of messages lost",
      move: moves.loss,
      begin: () => {
        link.filter(loss.make);
        link.reset(); // the edge connects anew, through the filter
      },
      end: () => {
        log(`${loss.dropped} messages were dropped, ${loss.passed} passed`);
        link.filter(null);
        link.reset();
      },
    },
  ];
}

async function displaceUnder(fault: Fault, lab: Lab, trial: Trial): Promise<void> {
  const accounts = trial.count({ short: 60, long: 1_000 });
  const [here, ...others] = lab.edges;
  const elsewhere = others.flatMap((edge) => edge.urls);
  const names = Array.from({ length: accounts }, (_, index) => `${fault.what} ${index}`);
  const older = await Promise.all(
    names.map((account, index) => lab.enter({ url: here!.urls[index % 2]!, account })),
  );
  const reconciled = () => lab.metric("holdfast_duplicate_closes_total", "reconcile");
  const before = await reconciled();

  fault.begin();
  const healed = lab.allowOverlap(boundMs);
  const newer = await Promise.all(
    names.map(async (account, index) => {
      await Bun.sleep((index / accounts) * 1000);
      return lab.enter({ url: elsewhere[index % elsewhere.length]!, account });
    }),
  );
  const closes = await Promise.all(
    older.map(({ wire }) => wire.waitClosed(4 * boundMs).catch(() => null)),
  );
  await fault.end();
  healed();
  await until("NATS to be back", async () => {
    return (await lab.metric("holdfast_dependency_up", "nats")) === lab.edges.length;
  });

  const overlapsMs = older.map(({ view }, index) => {
    return (view.endedMs ?? Number.POSITIVE_INFINITY) - (newer[index]?.view.answeredMs ?? 0);
  });
  const wrong =
    closes.filter((closed) => closed?.closePush?.code !== 6).length +
    newer.filter(({ login, view }) => login === null || view.endedMs !== null).length;
  const what = `${fault.what}: newer login answered -> older connection closed`;
  const note = `${spread(overlapsMs)}, ${(await reconciled()) - before} by renewal`;
  const measured = Math.max(...overlapsMs);
  trial.measure({ promise: 1, what, atMost: boundMs, measured, unit: "ms", note });
  trial.measure({ promise: 1, what: `${fault.what}: wrong victims`, exactly: 0, measured: wrong });
  for (const visit of newer) lab.leave(visit);
}
