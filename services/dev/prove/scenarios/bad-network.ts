/**
 * Promise 9 over a bad network: 200 ms there and back, 50 more or less, of a hundred packets five
 * lost on each way and one doubled, some out of order, 256 kB/s for all. Who is late is not silent;
 * who is silent is closed, also when nothing tells of its end.
 */
import { createUpstream, type Upstream } from "@holdfast/upstream";
import { spread } from "../figures.ts";
import { metric } from "../ground.ts";
import type { Lab, LabEdge } from "../lab.ts";
import type { Scenario, Trial } from "../scenario.ts";
import { loseAll } from "../wire/half-open.ts";
import { bad } from "../wire/path.ts";
import { type Said, startTalk } from "../wire/talk.ts";
import { compareThroughput, enterBulk } from "../wire/throughput.ts";
import { type BadWire, openBadWire } from "../wire/wire.ts";

const promise = 9;
const [talkLane, cutLane] = [0, 1];
/** By node: the first has clients that are late, the second those that are gone. */
const heartbeats = {
  short: [
    { intervalMs: 1000, timeoutMs: 10_000 },
    { intervalMs: 500, timeoutMs: 3000 },
  ],
  long: [
    { intervalMs: 30_000, timeoutMs: 90_000 },
    { intervalMs: 30_000, timeoutMs: 90_000 },
  ],
} as const;
const pace = {
  short: { requestEveryMs: 300, heartbeatEveryMs: 700, pushEveryMs: 500 },
  long: { requestEveryMs: 2000, heartbeatEveryMs: 10_000, pushEveryMs: 4000 },
};
const talkMs = { short: 3000, long: 600_000 };
/** In the long form only: TCP needs a while to find its speed. */
const bulk = { turns: 6, turnMs: 20_000, underWay: 8 };
const bulkConnections = 8;
/** Two sweeps, and the look at it. */
const slackMs = { short: 3000, long: 1000 };

export const scenario: Scenario = {
  name: "bad-network",
  promises: [promise, 4],
  isApart: true,
  moves: [
    {
      row: "B7",
      fault: "packets are late, lost and doubled",
      metric: "holdfast_heartbeat_round_trip_seconds_sum",
      tells: "the way to clients and back is long; the node itself is not slow",
    },
  ],
  shows: "a bad network ends nobody, costs little, and whoever is gone is noticed in time",
  async run(trial) {
    const wire = await openBadWire(bad, trial.seed);
    const lab = await openLab(trial, wire).catch(async (error: unknown) => {
      await wire.stop();
      throw error;
    });
    lab.endsToo(wire.stop); // clients leave over it when all has been checked
    trial.log(
      wire.means === "packets"
        ? "Packets are late, lost, doubled and turned round between clients and nodes"
        : "NO PACKETS HERE: a proxy that lets bytes wait as retransmissions would",
    );
    await runOver(trial, lab, wire);
  },
};

function openLab({ lab, size }: Trial, wire: BadWire): Promise<Lab> {
  return lab({
    edges: 2,
    settings: { EDGE_ALLOW_SHORT_TIMERS: "true", EDGE_HOST: wire.host },
    settingsOf: (index) => ({
      EDGE_HEARTBEAT_INTERVAL_MS: String(heartbeats[size][index]?.intervalMs),
      EDGE_HEARTBEAT_TIMEOUT_MS: String(heartbeats[size][index]?.timeoutMs),
    }),
  });
}

async function runOver(trial: Trial, lab: Lab, wire: BadWire): Promise<void> {
  const { size, count } = trial;
  const [bearing, losing] = [lab.edges[0]!, lab.edges[1]!]; // there are two
  const lost = loseAll(trial, lab, wire, {
    ...{ edge: losing, lane: cutLane, clients: count({ short: 16, long: 500 }) },
    ...{ ...heartbeats[size][1], slackMs: slackMs[size] },
  });
  const urls = await Promise.all(bearing.urls.map((url) => wire.reach(url, talkLane)));
  const upstream = await startUpstream(lab);
  const clients = count({ short: 30, long: 500 });
  const talk = await startTalk(lab, upstream, { clients, urls, ...pace[size] });
  const bulkVisits = await enterBulk(lab, urls, bulkConnections);
  await Bun.sleep(talkMs[size]);
  const said = await talk.stop();
  await upstream.stop();
  await lost;
  const ended = [...talk.visits, ...bulkVisits].filter(({ view }) => view.endedMs !== null).length;
  await tellTalk(trial, { said, clients, ended, edge: bearing, means: wire.means });
  if (size === "long") await tellThroughput(trial, wire, bulkVisits);
  const tally = await wire.tally();
  if (tally !== null) trial.log(`The wire: ${JSON.stringify(tally)}`);
}

function startUpstream({ servers }: Lab): Promise<Upstream> {
  const [nats] = servers.nats;
  return createUpstream({ nats: { servers: `${nats?.host}:${nats?.port}` } });
}

async function tellTalk(
  { measure }: Trial,
  seen: {
    readonly said: Said;
    readonly clients: number;
    readonly ended: number;
    readonly edge: LabEdge;
    readonly means: BadWire["means"];
  },
): Promise<void> {
  const { said, clients, edge, means } = seen;
  const ofEdge = { admins: [edge.description.admin] };
  const silent = await metric(ofEdge, "holdfast_closes_total", "HeartbeatTimeout");
  const falsely = "clients that are late, closed for a heartbeat";
  const note = `${clients} clients, ${means === "packets" ? "by packets" : "OVER A PROXY"}`;
  measure({ promise, what: falsely, exactly: 0, measured: silent, note });
  const ended = "clients that are late, closed at all";
  measure({ promise, what: ended, exactly: 0, measured: seen.ended });
  const malformed = await metric(ofEdge, "holdfast_decode_errors_total");
  measure({ promise, what: "packets that were not read", exactly: 0, measured: malformed });
  const asked = `requests ${spread(said.requestsMs)} ms, heartbeats ${spread(said.heartbeatsMs)} ms`;
  const wrong = "requests and heartbeats answered otherwise, or not at all";
  measure({ promise, what: wrong, exactly: 0, measured: said.wrong, note: asked });
  const pushes = "pushes lost, doubled or out of order";
  const of = `${said.pushed.toLocaleString("en")} pushes`;
  measure({ promise, what: pushes, exactly: 0, measured: said.misplaced, note: of });
}

async function tellThroughput(
  { measure }: Trial,
  wire: BadWire,
  visits: Parameters<typeof compareThroughput>[0],
): Promise<void> {
  const server = Bun.listen({
    ...{ hostname: wire.host, port: 0 },
    socket: { data: (socket, bytes) => void socket.write(bytes) },
  });
  try {
    const plain = new URL(await wire.reach(`tcp://127.0.0.1:${server.port}`, talkLane));
    const to = { host: plain.hostname, port: Number(plain.port) };
    const { turns, turnMs } = bulk;
    const seen = await compareThroughput(visits, to, bulk);
    const rate = (bytes: number) => `${(bytes / turns / turnMs).toFixed(1)} kB/s`;
    const note = `${rate(seen.gatewayBytes)} and ${rate(seen.plainBytes)} back and forth`;
    const what = "bytes through a node, of what bare TCP carries over the same wire";
    const measured = Math.round((100 * seen.gatewayBytes) / seen.plainBytes);
    measure({ promise, what, atLeast: 80, measured, unit: "%", note });
  } finally {
    server.stop(true);
  }
}
