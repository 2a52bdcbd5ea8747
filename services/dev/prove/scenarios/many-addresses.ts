/**
 * Promise 9, per address: more addresses than a node remembers pass by, one of them never stops to
 * dial, and honest clients come from others, thousands of them from behind one that is allowed.
 */
import { spread } from "../figures.ts";
import { startFlood } from "../flood.ts";
import { patiently } from "../ground.ts";
import type { Lab } from "../lab.ts";
import { residentBytes, watchMemory } from "../memory.ts";
import { passBy } from "../passers-by.ts";
import type { Scenario, Trial } from "../scenario.ts";

const promise = 9;
/** A bucket takes a minute to fill again: a node would remember each address for as long. */
const rate = 1;
const burst = 60;
const openMax = 500;
/** More than come by while the one that floods waits to be dialled again, or it is forgiven. */
const keysMax = { short: 10_000, long: 100_000 };
/** More than may be let in at once: the others dial on. */
const flooders = 2 * burst;
const flooder = "127.0.0.2";
const manyUsers = "127.0.0.3";
const honestAddresses = { short: 10, long: 100 };
const honestEveryMs = 2000;
const lookMs = 100;
const mebibyte = 1024 * 1024;
/** Of the keys, on top of garbage, which may be as much as was in use before it is collected. */
const grownMax = 96;

export const scenario: Scenario = {
  name: "many-addresses",
  promises: [promise],
  moves: [
    {
      row: "C5",
      fault: "one address dials without end, among more addresses than are remembered",
      metric: "holdfast_connections_rejected_total",
      label: 'reason="ip_rate"',
      tells: "an address opens connections faster than it may",
    },
    {
      row: "C5",
      fault: "one address dials without end, among more addresses than are remembered",
      metric: "holdfast_rate_limiter_keys",
      label: 'scope="ip"',
      tells: "addresses remembered; at its limit those that were quiet longest are forgiven",
    },
  ],
  shows: "limits per address hold one and spare all others, however many addresses there are",
  async run(trial) {
    const { count, size, measure } = trial;
    const lab = await trial.lab({ edges: 1, settings: settingsOf(size) });
    const users = await enterUsers(lab, count({ short: 100, long: 5000 }));
    const { pid } = lab.edges[0]!.child; // there is one
    const inUse = (await residentBytes(pid)) / mebibyte;
    const gauge = watchMemory(pid);
    const watched = watchKeys(lab);
    const startedMs = performance.now();
    const flood = startFlood({
      urls: [lab.urls[1]!],
      sockets: flooders,
      localAddresses: [flooder],
    });
    const honest = comeAndGo(lab, honestAddresses[size]);
    const strangers = count({ short: 40_000, long: 1_000_000 });
    const unserved = await passBy(lab.urls, strangers);
    const came = await honest.stop();
    await flood.stop();
    const seconds = (performance.now() - startedMs) / 1000;
    const keys = await watched.stop();
    const grown = gauge.stop() / mebibyte;
    // Those of WebSocket are told, and the flood has no others.
    const rejected = await lab.metric("holdfast_connections_rejected_total", 'transport="tcp"');

    const many = `${strangers.toLocaleString("en")} in ${seconds.toFixed(0)} s`;
    const remembered = "addresses that the node remembers, at most";
    measure({ promise, what: remembered, atMost: keysMax[size], measured: keys, note: many });
    const memory = { measured: grown, unit: "MiB", atMost: Math.round(inUse + grownMax) };
    measure({ promise, what: "memory of the node meanwhile: gained, at most", ...memory });
    const loss = "strangers refused, or not served, each from an address of its own";
    measure({ promise, what: loss, exactly: 0, measured: unserved + rejected });
    const admitted = "connections of the address that dials without end, let in at most";
    const atMost = burst + Math.ceil(rate * seconds);
    const told = `${flood.told.tooMany} told 429`;
    measure({ promise, what: admitted, atMost, measured: flood.told.welcome, note: told });
    const refused = "honest logins refused meanwhile";
    const times = `${honestAddresses[size]} addresses, let in after ${spread(came.tookMs)} ms`;
    measure({ promise, what: refused, exactly: 0, measured: came.refused, note: times });
    const lost = "clients behind one allowed address that were refused or lost";
    const stood = `${users.wanted} of them, ${openMax} are the limit of others`;
    const measured = users.wanted - users.here();
    measure({ promise, what: lost, exactly: 0, measured, note: stood });
  },
};

function settingsOf(size: Trial["size"]) {
  return {
    EDGE_CONNECTIONS_MAX: "15000",
    EDGE_UNAUTHENTICATED_MAX: "5000",
    EDGE_ADDRESS_CONNECT_RATE: String(rate),
    EDGE_ADDRESS_CONNECT_BURST: String(burst),
    EDGE_ADDRESS_CONNECTIONS_MAX: String(openMax),
    EDGE_ADDRESS_LOGIN_RATE: String(rate),
    EDGE_ADDRESS_LOGIN_BURST: String(burst),
    EDGE_ADDRESS_ALLOW: `127.0.0.1/32,${manyUsers}/32`, // the kit's own is among them
    EDGE_RATE_KEYS_MAX: String(keysMax[size]),
  };
}

/** As an office or a mobile network has them: all have the address of its translator. */
async function enterUsers(lab: Lab, wanted: number) {
  const atOnce = 50;
  for (let at = 0; at < wanted; at += atOnce) {
    const some = Array.from({ length: Math.min(atOnce, wanted - at) }, (_, index) => {
      const url = lab.urls[index % lab.urls.length]!; // in bounds by its remainder
      return lab.enter({ url, account: `user-${at + index}`, localAddress: manyUsers });
    });
    await Promise.all(some);
  }
  const isUser = (account: string) => account.startsWith("user-");
  return { wanted, here: () => lab.open.filter(({ view }) => isUser(view.account)).length };
}

/** Each address comes within its rate, logs in, and leaves. */
function comeAndGo(lab: Lab, addresses: number) {
  const tookMs: number[] = [];
  const coming: Promise<void>[] = [];
  let refused = 0;
  let turn = 0;
  const one = async (index: number) => {
    const url = lab.urls[index % lab.urls.length]!; // in bounds by its remainder
    const entry = { url, account: `honest-${index}`, localAddress: `127.1.0.${1 + index}` };
    const token = await patiently(() => lab.issue(entry.account));
    const startedMs = performance.now();
    const visit = await lab.enter({ ...entry, token }).catch(() => null);
    tookMs.push(performance.now() - startedMs);
    if (visit === null || visit.login === null) refused++;
    else lab.leave(visit);
  };
  const timer = setInterval(() => coming.push(one(turn++ % addresses)), honestEveryMs / addresses);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(coming);
      return { refused, tookMs };
    },
  };
}

function watchKeys(lab: Lab) {
  let highest = 0;
  let isOver = false;
  const look = async () => {
    while (!isOver) {
      const keys = await lab.metric("holdfast_rate_limiter_keys", 'scope="ip"').catch(() => 0);
      highest = Math.max(highest, keys);
      await Bun.sleep(lookMs);
    }
    return highest;
  };
  const looking = look();
  return {
    stop() {
      isOver = true;
      return looking;
    },
  };
}
