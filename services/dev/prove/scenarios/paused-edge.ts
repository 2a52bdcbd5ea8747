/**
 * Promise 1 for a node that is stopped while its accounts log in elsewhere, and then goes on. Its
 * clients have kept sending, and NATS is silent for it: nobody tells it what it has lost.
 */
import { Command } from "@holdfast/protocol";
import { quantile } from "../figures.ts";
import type { Lab } from "../lab.ts";
import type { Scenario } from "../scenario.ts";
import type { Visit } from "../visit.ts";

const requestsEach = 3;
const echo = 16;

export const scenario: Scenario = {
  name: "paused-edge",
  promises: [1],
  moves: [
    {
      row: "A5",
      fault: "a node is stopped and goes on",
      metric: "holdfast_stalls_total",
      tells: "the process stood still for over 2 s: a frozen machine, or too little CPU",
    },
    {
      row: "A5",
      fault: "a node is stopped and goes on",
      metric: "holdfast_stall_verify_seconds_count",
      tells: "how long its clients waited until their seats were verified",
    },
    {
      row: "A7",
      fault: "connections were superseded while their node stood still",
      metric: "holdfast_duplicate_closes_total",
      label: 'found_by="reconcile"',
      tells: "older connections are found by renewal: their node missed the news",
    },
  ],
  shows: "a node that stood still answers nothing to connections whose seats have moved",
  async run({ lab, size, count, measure }) {
    const ground = await lab({
      ...{ isLinked: true, isFenced: true },
      settings: { EDGE_FLAP_DISPLACEMENTS_MAX: "0" },
    });
    const [moving, staying] = [count({ short: 60, long: 500 }), count({ short: 40, long: 200 })];
    const pauseMs = size === "short" ? 3_000 : 60_000;
    const edge = ground.edges[0]!; // there are three
    const visits = await enterAll(ground, "paused", moving + staying, [0]);
    const older = visits.slice(0, moving);
    const stays = visits.slice(moving);
    await Bun.sleep(500); // first leases have been renewed

    const healed = ground.allowOverlap(pauseMs + 10_000);
    edge.natsLink?.silence();
    edge.child.signal("SIGSTOP");
    const stoppedMs = performance.now();
    const newer = await enterAll(ground, "paused", moving, [1, 2]);
    const asked = visits.map((visit) => ask(visit, pauseMs + 20_000));
    await Bun.sleep(Math.max(0, pauseMs - (performance.now() - stoppedMs)));
    edge.child.signal("SIGCONT");
    const wokeMs = performance.now();
    const ends = await Promise.all(
      older.map(({ wire }) => wire.waitClosed(15_000).catch(() => null)),
    );
    const answers = await Promise.all(asked);
    edge.natsLink?.heal();
    healed();

    const promise = 1;
    const note = `${moving} of them, stopped for ${(pauseMs / 1000).toFixed(0)} s`;
    const wrong = answers.slice(0, moving).reduce((sum, one) => sum + one, 0);
    const what = "requests of superseded connections answered after the pause";
    measure({ promise, what, exactly: 0, measured: wrong, note });
    const untold = ends.filter((closed) => closed?.closePush?.code !== 6).length;
    const told = "superseded connections told another reason, or none";
    measure({ promise, what: told, exactly: 0, measured: untold });
    const left = answers.slice(moving).reduce((sum, one) => sum + one, 0);
    const kept = "requests of connections that kept their seats, answered";
    measure({ promise, what: kept, exactly: staying * requestsEach, measured: left });
    const lost = stays.filter(({ view }) => view.endedMs !== null).length;
    measure({
      promise,
      what: "connections that kept their seats, closed",
      exactly: 0,
      measured: lost,
    });
    const closesMs = older.map(({ view }) => (view.endedMs ?? Number.POSITIVE_INFINITY) - wokeMs);
    const last = "woken -> last superseded connection closed";
    measure({ promise, what: last, measured: quantile(closesMs, 1), unit: "ms" });
    for (const visit of newer) ground.leave(visit);
  },
};

async function enterAll(
  lab: Lab,
  name: string,
  count: number,
  edges: readonly number[],
): Promise<Visit[]> {
  const visits: Visit[] = [];
  for (let at = 0; at < count; at += 20) {
    const some = Array.from({ length: Math.min(20, count - at) }, (_, index) => {
      const edge = lab.edges[edges[index % edges.length]!]!; // of those that there are
      const url = edge.urls[Math.floor(index / edges.length) % 2]!;
      return lab.enter({ url, account: `${name} ${at + index}` });
    });
    visits.push(...(await Promise.all(some)));
  }
  return visits;
}

/** How many of its requests are answered before it ends. */
async function ask({ view, wire }: Visit, deadlineMs: number): Promise<number> {
  const sent = Array.from({ length: requestsEach }, async (_, index) => {
    const command = index === 1 ? Command.heartbeat : echo;
    view.asked++;
    const body = Uint8Array.of(index);
    const answer = await wire.request(command, body, { deadlineMs }).catch(() => null);
    if (answer !== null) view.answered++;
    return answer === null ? 0 : 1;
  });
  return (await Promise.all(sent)).reduce((sum: number, one) => sum + one, 0);
}
