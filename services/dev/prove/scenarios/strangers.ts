/**
 * Promise 9 for those who come in while strangers are a burden: as many sit there and say nothing
 * as their part of the node allows, and others dial, send bytes that are no packet, are let go and
 * dial again. Whoever is honest logs in, and waits little longer than the machine has to let them.
 */
import { type Attack, judgeNeighbours } from "../fairness.ts";
import { spread } from "../figures.ts";
import { type Flood, startFlood } from "../flood.ts";
import { until } from "../ground.ts";
import type { Lab } from "../lab.ts";
import { startNeighbours } from "../neighbours.ts";
import type { Scenario, Trial } from "../scenario.ts";

const promise = 9;
/** With room for the honest behind both crowds. */
const settingsFor = (crowd: number) => ({
  ...{ EDGE_CONNECTIONS_MAX: "15000", EDGE_UNAUTHENTICATED_MAX: String(Math.ceil(2.4 * crowd)) },
});
/** Neither the first byte of a packet nor that of a frame. */
const garbage = new Uint8Array(256).fill(0xff);
/** Of each kind. */
const crowds = { short: 300, long: 5000 };
/** In the long form as long as a flood of connections has to last to be judged: see there. */
const attackMs = { short: 2000, long: 10_000 };
/** Not in its first moment, in which all that dial are taken at once. */
const firstMs = 500;
const newcomers = { short: 60, long: 400 };
const rounds = 5;

export const scenario: Scenario = {
  name: "strangers",
  promises: [promise],
  moves: [
    {
      row: "C4",
      fault: "a crowd that dials, sends bytes that are no packet, and dials again",
      metric: "holdfast_closes_total",
      label: 'code="UnpackError"',
      tells: "connections ended for the bytes they sent",
    },
  ],
  shows: "crowds that say nothing and crowds that send garbage keep nobody from logging in",
  async run(trial) {
    await comeIn(trial);
    if (trial.size === "long") await comeInBeside(trial);
  },
};

/** The bare fact: all of the honest are let in. */
async function comeIn({ lab, count, size, measure }: Trial): Promise<void> {
  const crowd = count(crowds);
  const ground = await lab({ edges: 1, settings: settingsFor(crowd) });
  await using neighbours = await startNeighbours(ground);
  const idle = await sitDown(ground, 0, crowd);
  const loud = startFlood({ urls: ground.urls, sockets: crowd, says: garbage });
  const came = await neighbours.newcomers(newcomers[size], attackMs[size]);
  const ended = loud.ended;
  await loud.stop();
  const sitting = await ground.metric("holdfast_connections");
  await idle.stop();
  await neighbours.stop();

  const what = "honest logins refused beside strangers";
  const note = `${crowd} idle, ${crowd} with ${ended} tries to send garbage; ${spread(came.tookMs)} ms`;
  const measured = came.asked - came.answered;
  measure({ promise, what, exactly: 0, measured, note });
  const sent = "garbage that was let go";
  measure({ promise, what: sent, atLeast: crowd, measured: ended, note: `${sitting} were left` });
}

async function comeInBeside(trial: Trial): Promise<void> {
  const crowd = trial.count(crowds);
  await judgeNeighbours(trial, {
    ...{ promise, settings: settingsFor(crowd), rounds },
    attacks: [
      garbageOf(crowd, { againMs: 1000, what: "come back after a second" }),
      // More than the kit can do evenly: they come in bursts, and are heard in their order.
      { ...garbageOf(crowd, { againMs: 100, what: "come back at once" }), hasALine: true },
    ],
    newcomers: { count: newcomers.long, withinMs: attackMs.long - firstMs, afterMs: firstMs },
  });
}

function garbageOf(
  crowd: number,
  how: { readonly againMs: number; readonly what: string },
): Attack {
  let idle: Flood | null = null;
  return {
    what: `${crowd} idle strangers and ${crowd} that send garbage and ${how.what}`,
    async prepare(lab, edge) {
      idle = await sitDown(lab, edge, crowd);
    },
    async run(lab, edge) {
      const { urls } = lab.edges[edge]!; // there are two
      const { againMs } = how;
      const loud = startFlood({ urls, sockets: crowd, says: garbage, againMs });
      await Bun.sleep(attackMs.long);
      await loud.stop();
    },
    async clear() {
      await idle?.stop();
    },
  };
}

/** Resolves when the node has them all. */
async function sitDown(lab: Lab, edge: number, crowd: number): Promise<Flood> {
  const before = await lab.metric("holdfast_connections");
  const idle = startFlood({ urls: lab.edges[edge]!.urls, sockets: crowd }); // the caller knows
  const here = async () => (await lab.metric("holdfast_connections")) - before;
  await until("the strangers to sit down", async () => (await here()) >= crowd, 20_000);
  return idle;
}
