/**
 * Promise 4 after kill -9 of a node: its seats are gone from `online`, and told as lapsed, once,
 * without waiting for their leases. Its sessions go on elsewhere.
 */
import { onlineOf, until } from "../ground.ts";
import type { Lab } from "../lab.ts";
import { hearLapses } from "../lapses.ts";
import type { Scenario } from "../scenario.ts";
import type { Visit } from "../visit.ts";

const boundMs = 10_000;

export const scenario: Scenario = {
  name: "killed-edge",
  promises: [4],
  moves: [
    {
      row: "B2",
      fault: "a node is killed",
      metric: "holdfast_nodes_buried_total",
      label: 'cause="dead"',
      tells: "a node has died, and another one took its seats away",
    },
    {
      row: "A9",
      fault: "a node dies with its seats",
      metric: "holdfast_seats_lapsed_total",
      label: 'cause="dead"',
      tells: "seats of a dead node leave `online`; as many clients come back elsewhere",
    },
  ],
  shows: "the seats of a node that was killed leave `online` at once, and are told once each",
  isLongOnly: true, // the cluster test `fence` has the short form of it
  async run({ lab, size, count, measure, log }) {
    const isShort = size === "short";
    const leaseMs = isShort ? 12_000 : 45_000;
    const ground = await lab({
      settings: isShort
        ? {
            EDGE_ALLOW_SHORT_TIMERS: "true",
            EDGE_LEASE_MS: String(leaseMs),
            EDGE_FIRST_LEASE_MS: "4000",
            EDGE_RENEW_INTERVAL_MS: "1000",
          }
        : {},
    });
    const readyMs = performance.now();
    await using lapses = await hearLapses(ground);
    const each = count({ short: 60, long: 2_000 });
    const mortal = await enterAll(ground, 0, each);
    const others = await enterAll(ground, 1, each);
    // Who has not reached Redis for a whole lease holds nobody for dead.
    const untilMs = readyMs + 1.1 * leaseMs;
    await Bun.sleep(Math.max(isShort ? 1500 : 6000, untilMs - performance.now()));

    const victim = ground.edges[0]!; // there are three
    victim.child.signal("SIGKILL");
    const diedMs = performance.now();
    const views = mortal.map(({ view }) => view);
    const online = () => onlineOf(ground, views);
    const tookMs = async (isSo: () => boolean | Promise<boolean>, what: string) => {
      const isDone = await until(what, isSo, 2 * leaseMs).then(
        () => true,
        () => false,
      );
      return isDone ? performance.now() - diedMs : Number.POSITIVE_INFINITY;
    };
    const toldMs = await tookMs(() => lapses.told.length >= each, "all lapses to be told");
    const trueMs = await tookMs(async () => (await online()) === 0, "online to be true");
    await Bun.sleep(isShort ? 1_500 : 20_000); // for a second telling
    const promise = 4;
    const note = `${each} seats`;
    const what = "kill -9 of a node -> its seats are gone from online";
    measure({ promise, what, atMost: boundMs, measured: trueMs, unit: "ms", note });
    const news = "kill -9 of a node -> all of them told as lapsed";
    measure({ promise, what: news, atMost: boundMs, measured: toldMs, unit: "ms" });
    const accounts = new Set(lapses.told.map(({ account }) => account));
    const twice = lapses.told.length - accounts.size;
    measure({ promise, what: "told twice", exactly: 0, measured: twice });
    const stray = others.filter(({ view }) => view.endedMs !== null || accounts.has(view.account));
    measure({ promise, what: "others told or closed", exactly: 0, measured: stray.length });
    log("the node starts again, and its clients come back elsewhere");
    await victim.start();
    const back = await resumeAll(ground, mortal);
    measure({ promise: 3, what: "sessions that did not go on", exactly: 0, measured: each - back });
  },
};

async function enterAll(lab: Lab, edge: number, count: number): Promise<Visit[]> {
  const { urls } = lab.edges[edge]!; // there are three
  const visits: Visit[] = [];
  for (let at = 0; at < count; at += 20) {
    const some = Array.from({ length: Math.min(20, count - at) }, (_, index) =>
      lab.enter({ url: urls[index % 2]!, account: `on ${edge}, ${at + index}` }),
    );
    visits.push(...(await Promise.all(some)));
  }
  return visits;
}

async function resumeAll(lab: Lab, visits: readonly Visit[]): Promise<number> {
  let accepted = 0;
  for (let at = 0; at < visits.length; at += 20) {
    const some = visits.slice(at, at + 20).map(async ({ view, login }, index) => {
      const url = lab.edges[1 + (index % 2)]!.urls[index % 2]!; // there are three
      const back = await lab.enter({
        url,
        account: view.account,
        sessionId: login?.sessionId ?? "",
      });
      return back.login === null ? 0 : 1;
    });
    for (const one of await Promise.all(some)) accepted += one;
  }
  return accepted;
}
