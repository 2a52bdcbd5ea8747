/**
 * Promise 8, bounded in time and memory: sockets that are a burden, before login and after it. In
 * the long form each kind has the node to itself, at the product's own deadlines.
 */
import { type Burden, type Ended, type Site, strangerBytes } from "../burdens/burden.ts";
import { deafBurdens } from "../burdens/deaf.ts";
import { type HonestLogins, logInHonestly } from "../burdens/honest.ts";
import { endlessBurdens, inflatingBurdens, lyingBurdens } from "../burdens/lying.ts";
import { drippingBurdens, silentBurdens } from "../burdens/silent.ts";
import { type Attack, judgeNeighbours } from "../fairness.ts";
import { spread } from "../figures.ts";
import { until } from "../ground.ts";
import type { Lab } from "../lab.ts";
import { readLag, stallOf } from "../lag.ts";
import { watchMemory } from "../memory.ts";
import type { Move } from "../moves.ts";
import { type Neighbours, startNeighbours } from "../neighbours.ts";
import type { Scenario, Trial } from "../scenario.ts";

const promise = 8;
/** In the short form those of one group are there at the same time. */
const groups: readonly (readonly Burden[])[] = [
  [...silentBurdens, ...drippingBurdens],
  lyingBurdens,
  [...inflatingBurdens, ...endlessBurdens],
  deafBurdens,
];
const mebibyte = 1024 * 1024;
const kibibyte = 1024;
const calmMs = 1500;
/** A sweep, and what a machine takes to notice; the short form runs beside anything. */
const slackMs = { short: 10_000, long: 1000 };
/** Deadlines count from when the node has taken a socket, ours from when the kernel has. */
const acceptedPerMs = 3;
/** Besides what the burdens may hold: garbage that is not collected yet. */
const garbageBytes = 128 * mebibyte;
/** Fewer are no crowd: what each costs is lost in what the node does besides. */
const crowdLeast = 2000;
const honest = { short: 20, long: 100 };
/** Of an attack beside neighbours, at least: some 300 of their requests. */
const besideMs = 2000;
const besidePauseMs = 300;
const atOnce = 200;
/** A crowd that logs in at once is a storm, and measured as one. */
const atOnceBeside = 20;

const quick = {
  EDGE_ALLOW_SHORT_TIMERS: "true",
  EDGE_HANDSHAKE_TIMEOUT_MS: "1000",
  EDGE_AUTH_TIMEOUT_MS: "3000",
  EDGE_HEARTBEAT_INTERVAL_MS: "1000",
  EDGE_HEARTBEAT_TIMEOUT_MS: "3000",
  EDGE_OUTBOUND_BYTES_MAX: String(mebibyte),
};
const room = {
  EDGE_CONNECTIONS_MAX: "15000",
  EDGE_UNAUTHENTICATED_MAX: "12000",
  // A busy machine does not inflate as much as the default allows, and nobody would be over it.
  EDGE_INFLATE_RATE: String(mebibyte),
  EDGE_INFLATE_BURST: String(16 * mebibyte),
};

const moves = {
  handshake: {
    row: "C3",
    fault: "clients that never finish a handshake or an upgrade",
    metric: "holdfast_closes_total",
    label: 'code="none",by="server"',
    tells: "connections ended without a word, by the handshake's deadline",
  },
  unknown: {
    row: "C4",
    fault: "crowds that never log in",
    metric: "holdfast_closes_total",
    label: 'code="AuthError"',
    tells: "connections ended because no login came, or none that was right",
  },
  bodies: {
    row: "C8",
    fault: "bodies that are announced and come late, or never",
    metric: "holdfast_body_memory_bytes",
    tells: "memory of bodies under way; at its limit requests get 7 / 503",
  },
  inflated: {
    row: "C7",
    fault: "compressed bombs, one after the other",
    metric: "holdfast_rate_limited_total",
    label: 'scope="inflate"',
    tells: "connections were closed for what their packets inflate to",
  },
  slow: {
    row: "C10",
    fault: "clients that do not read what they are sent",
    metric: "holdfast_slow_consumers_closed_total",
    tells: "connections were closed because their client reads too slowly",
  },
  silent: {
    row: "C11",
    fault: "clients that are silent",
    metric: "holdfast_closes_total",
    label: 'code="HeartbeatTimeout"',
    tells: "peers are gone without a word: networks, or a client that hangs",
  },
} as const satisfies Record<string, Move>;

export const scenario: Scenario = {
  name: "hostile-sockets",
  promises: [promise],
  moves: Object.values(moves),
  shows: "whoever is a burden is let go by a deadline, at a bounded cost, and neighbours go on",
  async run(trial) {
    const isShort = trial.size === "short";
    const settings = { ...room, ...(isShort ? quick : {}) };
    const lab = await trial.lab({ edges: 1, settings });
    const site = siteOf(lab, 0, isShort);
    await using neighbours = await startNeighbours(lab);
    await neighbours.phase();
    const quiet = await logInHonestly(lab, honest[trial.size], calmMs);
    const calm = await neighbours.phase();
    trial.log(`honest logins before: ${spread(quiet.tookMs)} ms`);
    const ms = (value: number) => value.toFixed(1);
    trial.log(`neighbours before: p50 ${ms(calm.p50Ms)}, p99 ${ms(calm.p99Ms)} ms`);
    const together = isShort ? groups : groups.flat().map((burden) => [burden]);
    let unanswered = 0;
    await trial.watching(lab, Object.values(moves), async () => {
      for (const some of together) unanswered += await burdenBy(trial, site, some, neighbours);
    });
    await neighbours.stop();
    const what = "neighbours' requests without an answer, in all of it";
    trial.measure({ promise, what, exactly: 0, measured: unanswered });
    if (!isShort) await burdenBeside(trial);
  },
};

/** What each costs others who are there, by the settings and counts of the short form. */
async function burdenBeside(trial: Trial): Promise<void> {
  const attacks = groups.flat().map(
    (burden): Attack => ({
      what: burden.what,
      async run(lab, edge) {
        const site = { ...siteOf(lab, edge, true), atOnce: atOnceBeside };
        const startedMs = performance.now();
        // Some are over in a moment, of which there is no p99: they come again.
        do {
          await burden.run(site, burden.attackers.short);
          await Bun.sleep(besidePauseMs);
        } while (performance.now() - startedMs < besideMs);
      },
    }),
  );
  await judgeNeighbours(trial, { promise, settings: { ...room, ...quick }, attacks, rounds: 3 });
}

function siteOf(lab: Lab, edge: number, isShort: boolean): Site {
  const [tcp, ws] = lab.edges[edge]!.urls; // the caller knows how many there are
  const short = { handshakeTimeoutMs: 1000, authTimeoutMs: 3000, heartbeatTimeoutMs: 3000 };
  const usual = { handshakeTimeoutMs: 5000, authTimeoutMs: 30_000, heartbeatTimeoutMs: 90_000 };
  const outboundBytesMax = isShort ? mebibyte : 8 * mebibyte;
  const times = isShort ? short : usual;
  return { lab, tcp, ws, ...times, outboundBytesMax, dripMs: isShort ? 200 : 1000, atOnce };
}

/** Returns how many requests of neighbours were not answered. */
async function burdenBy(
  trial: Trial,
  site: Site,
  some: readonly Burden[],
  neighbours: Neighbours,
): Promise<number> {
  const { lab } = site;
  const before = await readLag(lab.edges);
  const gauge = watchMemory(lab.edges[0]!.child.pid); // there is one
  await neighbours.phase();
  const runs = some.map(async (burden) => {
    const attackers = trial.count(burden.attackers);
    return { burden, attackers, ended: await burden.run(site, attackers) };
  });
  const lasts = some.every(({ isSlow }) => isSlow === true);
  const clients = lasts ? honest[trial.size] : 0;
  const logins = logInHonestly(lab, clients, 0.8 * site.handshakeTimeoutMs);
  const results = await Promise.all(runs);
  const phase = await neighbours.phase();
  const gainedBytes = gauge.stop();
  const connected = () => lab.metric("holdfast_connections");
  await until("the burdens to be gone", async () => (await connected()) <= 2, 30_000);

  let mayBytes = garbageBytes;
  for (const { burden, attackers, ended } of results) {
    mayBytes += attackers * burden.bytesMax(site);
    tell(trial, burden, site, ended);
  }
  const all = results.reduce((sum, { attackers }) => sum + attackers, 0);
  const names = some.length === 1 ? `of ${some[0]?.what}` : `of ${some.length} kinds at once`;
  const stallMs = stallOf(before, await readLag(lab.edges));
  tellCost(trial, some, { names, all, gainedBytes, mayBytes, stallMs });
  if (lasts) tellHonest(trial, names, await logins);
  const p99 = { measured: phase.p99Ms, unit: "ms", note: `slowest ${phase.slowestMs.toFixed(0)}` };
  trial.measure({ promise, what: `neighbours' p99 in spite ${names}`, ...p99 });
  return phase.unanswered;
}

interface Cost {
  readonly names: string;
  readonly all: number;
  readonly gainedBytes: number;
  readonly mayBytes: number;
  readonly stallMs: number;
}

function tellCost(trial: Trial, some: readonly Burden[], cost: Cost): void {
  const { names, all, gainedBytes, mayBytes, stallMs } = cost;
  const note = `${all.toLocaleString("en")} of them, ${(gainedBytes / all / kibibyte).toFixed(1)} KiB each`;
  const memory = { measured: gainedBytes / mebibyte, unit: "MiB", note };
  const atMost = Math.round(mayBytes / mebibyte);
  trial.measure({ promise, what: `memory ${names}`, atMost, ...memory });
  if (some.every(({ bytesMax }) => bytesMax === strangerBytes) && all >= crowdLeast) {
    const what = `memory of each ${names}`;
    const measured = gainedBytes / all / kibibyte;
    trial.measure({ promise, what, atMost: strangerBytes() / kibibyte, measured, unit: "KiB" });
  }
  const stall = `the loop stood still, 99 of 100 samples below, in spite ${names}`;
  // Many are over within a second, which is five samples: too few for a bound.
  trial.measure({ promise, what: stall, measured: stallMs, unit: "ms" });
}

function tellHonest({ measure }: Trial, names: string, { refused, tookMs }: HonestLogins): void {
  const note = `let in after ${spread(tookMs)} ms`;
  measure({
    promise,
    what: `honest logins refused in spite ${names}`,
    exactly: 0,
    measured: refused,
    note,
  });
}

function tell(trial: Trial, burden: Burden, site: Site, ended: readonly Ended[]): void {
  const words = Object.groupBy(ended, (one) => one.told);
  const wrong = ended.filter((one) => !burden.told.includes(one.told)).length;
  if (wrong > 0) {
    const counts = Object.entries(words).map(([word, those = []]) => `${word}: ${those.length}`);
    trial.log(`${burden.what} was told otherwise: ${counts.join(", ")}`);
  }
  const latest = Math.max(...ended.map(({ tookMs }) => tookMs));
  trial.measure({
    ...{ promise, what: `${burden.what}: the last is let go`, unit: "ms" },
    atMost: burden.boundMs(site) + Math.max(slackMs[trial.size], ended.length / acceptedPerMs),
    measured: wrong > 0 ? Number.POSITIVE_INFINITY : Math.round(latest),
    note: `${ended.length.toLocaleString("en")} of them`,
  });
}
