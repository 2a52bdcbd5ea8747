/**
 * Promise 8 over real sockets: mutants of packets and of frames, by TCP and WebSocket, before login
 * and after it. Each costs its sender the connection at most; neighbours and bystanders go on.
 */
import { each } from "../../test/attack.ts";
import { createDraws } from "../../test/fuzz/draws.ts";
import { createMutator } from "../../test/fuzz/mutator.ts";
import { readSeeds } from "../../test/fuzz/seeds.ts";
import { judgeNeighbours } from "../fairness.ts";
import { until } from "../ground.ts";
import type { Lab } from "../lab.ts";
import { startNeighbours } from "../neighbours.ts";
import { type Offence, sendBrokenFrames, sendMutants } from "../offenders.ts";
import type { Scenario, Trial } from "../scenario.ts";

const promise = 8;
const atOnce = 32;
const mebibyte = 1024 * 1024;
/** A node that has just started still grows by itself: the warm-up of the short form is short. */
const grownMax = { short: 48, long: 10 };
const bystanders = 40;
const besideOffenders = 1500; // a few seconds of them
const calmMs = 1000; // with neither attack nor warm-up, to compare with

export const scenario: Scenario = {
  name: "hostile-packets",
  promises: [promise],
  moves: [
    {
      row: "C2",
      fault: "mutants of packets",
      metric: "holdfast_decode_errors_total",
      label: 'reason="type"',
      tells: "bytes that are no packet: an attack, or a broken client",
    },
    {
      row: "C2",
      fault: "mutants of packets",
      metric: "holdfast_closes_total",
      label: 'code="UnpackError"',
      tells: "connections ended for the bytes they sent",
    },
  ],
  shows: "mutants over TCP and WebSocket end their own connection with a reason, and no other",
  async run(trial) {
    const { measure, count, log } = trial;
    const lab = await trial.lab({ edges: 1, settings: { EDGE_UNAUTHENTICATED_MAX: "2000" } });
    const watched = await watch(lab);
    await using neighbours = await startNeighbours(lab);
    const offenders = count({ short: 2_500, long: 150_000 });

    await attack(lab, trial, "warm-up", Math.ceil(offenders / 5));
    const beforeBytes = await residentBytes(lab);
    await neighbours.phase();
    await Bun.sleep(calmMs);
    const calm = await neighbours.phase();
    const { offences, told } = await attack(lab, trial, "mutants", offenders);
    const busy = await neighbours.phase();
    const afterBytes = await residentBytes(lab);
    await neighbours.stop();

    log(JSON.stringify(told));
    const wrong = offences.filter((offence) => offence.wrong !== null);
    for (const offence of wrong.slice(0, 5)) log(`${offence.told}: ${offence.wrong}`);
    const sent = offences.reduce((sum, offence) => sum + offence.sent, 0).toLocaleString("en");
    const note = `${offenders.toLocaleString("en")} connections, ${sent} packets and frames`;
    const what = "offenders that were not let go, or told a reason not of their making";
    measure({ promise, what, exactly: 0, measured: wrong.length, note });
    measure({
      ...{ promise, what: "neighbours' requests without an answer", exactly: 0 },
      ...{ measured: busy.unanswered, note: `of ${busy.asked}` },
    });
    const closed = bystanders - lab.open.length;
    measure({ promise, what: "bystanders that were closed", exactly: 0, measured: closed });
    const grown = { measured: (afterBytes - beforeBytes) / mebibyte, unit: "MiB" };
    const grownBy = { promise, what: "memory of the node, after - before", ...grown } as const;
    measure({ ...grownBy, atMost: grownMax[trial.size] });
    const exceptions = await lab.metric("holdfast_exceptions_total");
    measure({ promise, what: "internal errors counted", exactly: 0, measured: exceptions });
    const before = `before: p50 ${calm.p50Ms.toFixed(1)}, p99 ${calm.p99Ms.toFixed(1)} ms`;
    const p99 = {
      measured: busy.p99Ms,
      unit: "ms",
      note: `p50 ${busy.p50Ms.toFixed(1)}; ${before}`,
    };
    measure({ promise, what: "neighbours' p99 under attack", ...p99 });
    watched();
    if (trial.size === "long") await attackBeside(trial);
  },
};

/** Bystanders that say nothing themselves; the outside check asks after them, too. */
async function watch(lab: Lab): Promise<() => void> {
  for (let index = 0; index < bystanders; index++) {
    const url = lab.urls[index % lab.urls.length]!; // in bounds
    await lab.enter({ url, account: `bystander-${index}` });
  }
  return () => {
    if (lab.edges[0]?.child.hasExited() === true) throw new Error("The edge has ended");
  };
}

/** What they cost others who are there. */
async function attackBeside(trial: Trial): Promise<void> {
  const settings = { EDGE_UNAUTHENTICATED_MAX: "2000" };
  const mutants = {
    what: "mutants of packets and frames",
    async run(lab: Lab, edge: number) {
      await attack(lab, trial, "beside", besideOffenders, edge);
    },
  };
  await judgeNeighbours(trial, { promise, settings, attacks: [mutants], rounds: 7 });
}

async function attack(lab: Lab, trial: Trial, stream: string, offenders: number, edge = 0) {
  const seed = trial.seed + (stream === "warm-up" ? 1 : 2) * 1_000_003;
  const seeds = await readSeeds();
  const offences: Offence[] = [];
  const told: Record<string, number> = {};
  const [tcp, ws] = lab.edges[edge]!.urls; // the caller knows how many there are
  await each(Array.from({ length: offenders }), atOnce, async (_, index) => {
    const draws = createDraws(seed + index);
    const mutator = createMutator(seeds, draws);
    const kind = index % 5;
    const token = kind < 2 ? () => lab.issue(`offender-${index % 500}`, 1000) : null;
    const url = kind % 2 === 0 ? tcp : ws;
    const run =
      kind === 4 ? sendBrokenFrames(ws, draws) : sendMutants({ url, token }, mutator, draws);
    const offence = await run.catch((error: unknown) => ({
      ...{ told: "no connection", wrong: String(error), sent: 0 },
    }));
    offences.push(offence);
    told[offence.told] = (told[offence.told] ?? 0) + 1;
  });
  return { offences, told };
}

/** All offenders are gone, whatever they left behind. */
async function quiet(lab: Lab): Promise<void> {
  const connected = () => lab.metric("holdfast_connections");
  const ours = bystanders + 2; // and two neighbours
  await until("all offenders to be gone", async () => (await connected()) <= ours, 20_000);
}

async function residentBytes(lab: Lab): Promise<number> {
  await quiet(lab);
  return lab.metric("process_resident_memory_bytes");
}
