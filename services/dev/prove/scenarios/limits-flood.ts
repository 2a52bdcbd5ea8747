/**
 * Promise 9: floods. More connections than a node is to have; more than an address is to have; more
 * logins of an account than it is to try. The limit holds, and whoever is honest does not notice.
 */
import { openWire } from "@holdfast/client/wire";
import { Command, encodeReconnectRequest } from "@holdfast/protocol";
import { createSecret, formatSessionId, tagOf } from "@holdfast/session";
import { type Attack, judgeNeighbours } from "../fairness.ts";
import { spread } from "../figures.ts";
import { startFlood } from "../flood.ts";
import { until } from "../ground.ts";
import type { Lab } from "../lab.ts";
import { startNeighbours } from "../neighbours.ts";
import type { Scenario, Trial } from "../scenario.ts";
import { sendTorrent, type TorrentKind } from "../torrents.ts";

const promise = 9;
const addressMax = 50;
const accountRate = 20;
const accountBurst = 100;
/** Defaults of the product, for one connection. */
const packetsRate = 500;
const packetsBurst = 2000;
const packetFlooders = 20;
const coreMax = 80; // %
/** Of strangers beside neighbours: they fill the node in the first tenth of a second. */
const floodMs = 10_000;
const addresses = Array.from({ length: 8 }, (_, index) => `127.0.0.${index + 2}`);

export const scenario: Scenario = {
  name: "limits-flood",
  promises: [promise],
  moves: [
    {
      row: "C9",
      fault: "more connections are dialled than the limit",
      metric: "holdfast_connections_rejected_total",
      label: 'reason="limit"',
      tells: "the node is full: scale out, or somebody floods it",
    },
    {
      row: "C9",
      fault: "more upgrades are refused than can wait",
      metric: "holdfast_refusals_cut_total",
      tells: "so many are refused that not all are told 503",
    },
    {
      row: "C5",
      fault: "one address opens connections without end",
      metric: "holdfast_connections_rejected_total",
      label: 'reason="ip_open"',
      tells: "an address has as many connections as it may",
    },
    {
      row: "C5",
      fault: "one account fails to log in without end",
      metric: "holdfast_rate_limited_total",
      label: 'scope="account"',
      tells: "logins of an account are refused without asking Redis",
    },
    {
      row: "A12",
      fault: "session ids that nobody ever had",
      metric: "holdfast_auth_total",
      label: 'kind="reconnect",outcome="expired"',
      tells: "ids are refused; a steady stream from few addresses is somebody who guesses",
    },
  ],
  shows: "floods of connections and logins end at the limit that is set, and others are served",
  async run(trial) {
    await floodNode(trial);
    await floodFromOneAddress(trial);
    await floodOneAccount(trial);
    await floodWithPackets(trial);
    if (trial.size === "long") await floodBeside(trial);
  },
};

/** Dials many more than the node takes, for a while, beside two that are there already. */
async function floodNode(trial: Trial): Promise<void> {
  const { lab, count, size, measure, log } = trial;
  const limit = count({ short: 300, long: 2000 });
  const settings = {
    EDGE_CONNECTIONS_MAX: String(limit),
    EDGE_UNAUTHENTICATED_MAX: String(limit),
    EDGE_HANDSHAKE_TIMEOUT_MS: "60000",
  };
  const ground = await lab({ edges: 1, settings });
  await using neighbours = await startNeighbours(ground);
  await Bun.sleep(1000);
  const calm = await neighbours.phase();
  const sockets = count({ short: 1500, long: 15_000 });
  const flood = startFlood({ urls: ground.urls, sockets, localAddresses: addresses });
  const seen = await watch(ground, size === "long" ? 20_000 : 3_000);
  const stormy = await neighbours.phase();
  const told = `${flood.ended} connections ended, upgrades told 503: ${flood.told.later}`;
  await flood.stop();
  const endedMs = performance.now();
  await until("a login after the flood", () => logsIn(ground, "after"), 20_000);
  const recoveredMs = performance.now() - endedMs;

  const most = "connections of a node that is flooded, at most";
  const note = `${sockets} from 8 addresses dialled all the time`;
  measure({ promise, what: most, atMost: limit, measured: seen.connections, note });
  tellBusy(trial, seen);
  const what = "descriptors it had open besides, at most";
  measure({ promise, what, measured: seen.descriptors - limit });
  const p99 = `p99 ${calm.p99Ms.toFixed(1)} ms before, ${stormy.p99Ms.toFixed(1)} ms meanwhile`;
  const served = "requests of its clients that were not answered";
  measure({ promise, what: served, exactly: 0, measured: stormy.unanswered, note: p99 });
  measure({ promise, what: "times it was not ready", exactly: 0, measured: seen.unready });
  const again = "a newcomer is let in after the flood";
  const bound = size === "long" ? 1_000 : 5_000; // a busy machine takes its time to end them all
  measure({ promise, what: again, atMost: bound, measured: recoveredMs, unit: "ms" });
  log(told);
}

interface Seen {
  readonly connections: number;
  readonly descriptors: number;
  readonly unready: number;
  readonly cpuSeconds: number;
  readonly refused: number;
  readonly seconds: number;
}

/** They dial as fast as they are refused, as far as one process can. */
function tellBusy({ measure, size }: Trial, { cpuSeconds, refused, seconds }: Seen): void {
  const note = `${Math.round(refused / seconds).toLocaleString("en")} refused a second`;
  const what = "of a core, to refuse all others";
  const bound = size === "long" ? { atMost: coreMax } : {};
  measure({ promise, what, ...bound, measured: (100 * cpuSeconds) / seconds, unit: "%", note });
}

async function watch(ground: Lab, ms: number): Promise<Seen> {
  const seen = { connections: 0, descriptors: 0, unready: 0 };
  const cpu = () => ground.metric("process_cpu_seconds_total");
  const refusals = () => ground.metric("holdfast_connections_rejected_total");
  const [cpuBefore, refusedBefore] = [await cpu(), await refusals()];
  const startedMs = performance.now();
  const untilMs = startedMs + ms;
  while (performance.now() < untilMs) {
    seen.connections = Math.max(seen.connections, await ground.metric("holdfast_connections"));
    seen.descriptors = Math.max(seen.descriptors, await ground.metric("process_open_fds"));
    const answers = await Promise.all(ground.admins.map((admin) => fetch(`${admin}/readyz`)));
    seen.unready += answers.filter(({ ok }) => !ok).length;
    await Bun.sleep(50);
  }
  const cpuSeconds = (await cpu()) - cpuBefore;
  const refused = (await refusals()) - refusedBefore;
  return { ...seen, cpuSeconds, refused, seconds: (performance.now() - startedMs) / 1000 };
}

async function logsIn(ground: Lab, account: string): Promise<boolean> {
  const visit = await ground.enter({ url: ground.urls[0]!, account }).catch(() => null);
  return visit !== null && visit.login !== null;
}

/** One address dials without end; many honest ones, each another address, come in beside it. */
async function floodFromOneAddress({ lab, count, measure }: Trial): Promise<void> {
  const settings = {
    EDGE_ADDRESS_CONNECTIONS_MAX: String(addressMax),
    EDGE_ADDRESS_ALLOW: "127.0.0.1/32", // the kit's own
  };
  const ground = await lab({ edges: 1, settings });
  const { urls } = ground;
  const sockets = count({ short: 300, long: 2000 });
  const flood = startFlood({ urls, sockets, localAddresses: ["127.0.0.2"] });
  await until("the flood to be refused", () => flood.ended > sockets, 15_000);
  const honest = count({ short: 60, long: 500 });
  const tookMs: number[] = [];
  let refused = 0;
  for (let index = 0; index < honest; index++) {
    const localAddress = `127.0.${3 + Math.floor(index / 200)}.${1 + (index % 200)}`;
    const url = urls[index % urls.length]!; // in bounds by its remainder
    const startedMs = performance.now();
    const entry = { url, account: `honest-${index}`, localAddress };
    const visit = await ground.enter(entry).catch(() => null);
    tookMs.push(performance.now() - startedMs);
    if (visit === null || visit.login === null) refused++;
  }
  const open = await ground.metric("holdfast_connections");
  await flood.stop();

  const most = "connections of one address, at most";
  measure({ promise, what: most, atMost: addressMax, measured: open - (honest - refused) });
  const note = `${honest} from as many addresses, let in after ${spread(tookMs)} ms`;
  measure({
    promise,
    what: "honest clients refused meanwhile",
    exactly: 0,
    measured: refused,
    note,
  });
  const { tooMany } = flood.told;
  measure({ promise, what: "upgrades told 429", atLeast: 1, measured: tooMany });
}

/** Session ids of one account that nobody ever had, as fast as they are refused. */
async function floodOneAccount({ lab, size, measure }: Trial): Promise<void> {
  const settings = {
    EDGE_ACCOUNT_LOGIN_RATE: String(accountRate),
    EDGE_ACCOUNT_LOGIN_BURST: String(accountBurst),
  };
  const ground = await lab({ edges: 1, settings });
  const tag = tagOf("victim");
  const startedMs = performance.now();
  const untilMs = startedMs + (size === "long" ? 20_000 : 3_000);
  let attempts = 0;
  await Promise.all(Array.from({ length: 16 }, hammer));
  const asked = await ground.metric("holdfast_dependency_duration_seconds_count", 'op="own"');
  const seconds = (performance.now() - startedMs) / 1000;
  const visit = await ground.enter({ url: ground.urls[1]!, account: "somebody-else" });

  const what = "questions to Redis of one account's failing logins, at most";
  const atMost = accountBurst + Math.ceil(accountRate * seconds) + 1;
  measure({ promise, what, atMost, measured: asked, note: `${attempts} logins` });
  const other = visit.login === null ? 1 : 0;
  measure({ promise, what: "another account refused meanwhile", exactly: 0, measured: other });

  async function hammer(): Promise<void> {
    while (performance.now() < untilMs) {
      const wire = await openWire({ url: ground.urls[attempts % 2]! });
      for (let each = 0; each < 3; each++) {
        attempts++;
        const secret = createSecret();
        const sessionId = formatSessionId({ tag, sid: secret.slice(0, 16), secret });
        const body = encodeReconnectRequest({ sessionId, metadata: {} });
        await wire.request(Command.reconnect, body).catch(() => null);
      }
      wire.reset();
    }
  }
}

/** A few with a login, and no end of packets: no more is read of them than each may send. */
async function floodWithPackets({ lab, size, measure }: Trial): Promise<void> {
  const ground = await lab({ edges: 1 });
  const ms = size === "long" ? 20_000 : 2000;
  const startedMs = performance.now();
  await sendTorrent(ground, 0, { kind: "packets", sockets: packetFlooders, ms });
  const packets = await ground.metric("holdfast_packets_total", 'direction="in",kind="control"');
  const seconds = (performance.now() - startedMs) / 1000;
  // Pings of WebSocket are not among the packets; each has its login, and may owe one.
  const each = packetsBurst + packetsRate * seconds + 2;
  measure({
    ...{ promise, what: "packets read of clients that send without end, at most" },
    ...{ atMost: Math.ceil((packetFlooders / 2) * each), measured: packets },
    note: `${packetFlooders / 2} of them for ${seconds.toFixed(1)} s, and as many that ping`,
  });
  const paused = await ground.metric("holdfast_inbound_paused_total");
  measure({ promise, what: "times they were not read", atLeast: packetFlooders, measured: paused });
}

/** What all of these cost others who are there. */
async function floodBeside(trial: Trial): Promise<void> {
  const { count } = trial;
  const limit = count({ short: 300, long: 2000 });
  const ms = 3000;
  const settings = { EDGE_CONNECTIONS_MAX: String(limit), EDGE_UNAUTHENTICATED_MAX: String(limit) };
  const sockets = count({ short: 1000, long: 6000 });
  const torrent = (what: string, kind: TorrentKind): Attack => ({
    what,
    run: (lab, edge) => sendTorrent(lab, edge, { kind, sockets: packetFlooders, ms }),
  });
  const strangers: Attack = {
    what: "more connections than may be",
    async run(lab, edge) {
      const flood = startFlood({ urls: lab.edges[edge]!.urls, sockets }); // there are two
      await Bun.sleep(floodMs);
      await flood.stop();
    },
  };
  const attacks = [
    strangers,
    torrent("more packets than may be", "packets"),
    torrent("more bytes than may be", "bytes"),
  ];
  await judgeNeighbours(trial, { promise, settings, attacks, rounds: 5 });
}
