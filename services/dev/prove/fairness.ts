/**
 * What an attack on a node costs its other clients, apart from what attackers cost the machine: the
 * same attack goes, in turn, to the node of the neighbours and to another node on the same core.
 * The kernel divides a core fairly between two processes; a node has to do as well among its
 * clients, within a factor of two. A first round finds code that is not compiled yet: it is told,
 * and does not count.
 */
import { type Apart, standApart } from "./cores.ts";
import { quantile, spread } from "./figures.ts";
import { until } from "./ground.ts";
import type { Lab, LabOptions } from "./lab.ts";
import { type Lag, readLag, stallOf } from "./lag.ts";
import {
  type NeighbourPhase,
  type Neighbours,
  type PhaseFigures,
  startNeighbours,
} from "./neighbours.ts";
import type { PromiseNumber, Trial } from "./scenario.ts";

export interface Attack {
  readonly what: string;
  /** Before the neighbours are measured. */
  prepare?(lab: Lab, edgeIndex: number): Promise<void>;
  /** Comes and goes; nothing of it is left when it resolves but what the node still ends. */
  run(lab: Lab, edgeIndex: number): Promise<void>;
  /** It is told how long newcomers take, and nothing more: they stand in line with all others. */
  readonly hasALine?: boolean;
  /** After they were measured: whatever is left goes, and every node is there again. */
  clear?(lab: Lab): Promise<void>;
}

/** So many log in over so long, while each attack lasts, the first so long after it has begun. */
export interface Newcomers {
  readonly count: number;
  readonly withinMs: number;
  readonly afterMs: number;
}

/** A timer of the kernel, and the turn of the loop that is just being taken. */
const constantMs = 2;
const usualFactor = 2;

/** For the long form: the short one runs on any machine, beside anything. */
export async function judgeNeighbours(
  trial: Trial,
  options: {
    readonly promise: PromiseNumber;
    readonly settings?: NonNullable<LabOptions["settings"]>;
    /** On top of its settings, and of two edges: the neighbours' and that of the control. */
    readonly lab?: LabOptions;
    readonly rounds: number;
    readonly attacks: readonly Attack[];
    readonly factor?: number; // default 2
    readonly newcomers?: Newcomers;
    /** Of the neighbours' loop, 99 of 100 samples; not set: it is not told. */
    readonly stallMsMax?: number;
  },
): Promise<void> {
  const { promise, settings = {}, rounds, attacks, factor = usualFactor, newcomers } = options;
  const { stallMsMax } = options;
  const lab = await trial.lab({ edges: 2, settings, ...options.lab });
  await using neighbours = await startNeighbours(lab);
  const apart = standApart(lab, neighbours.pid);
  try {
    await neighbours.phase();
    await Bun.sleep(1000);
    const calm = await neighbours.phase();
    trial.log(`neighbours undisturbed: p99 ${calm.p99Ms.toFixed(1)} ms; ${apart.how}`);
    let unanswered = 0;
    for (const attack of attacks) {
      const on = { lab, neighbours, apart, ...(newcomers === undefined ? {} : { newcomers }) };
      const cold = await inTurn(on, attack, 1);
      const { own, other } = await inTurn(on, attack, rounds);
      const all = [cold, { own, other }].flatMap((round) => [...round.own, ...round.other]);
      unanswered += all.reduce((sum, phase) => sum + phase.unanswered, 0);
      const controlMs = middle(other);
      const atMost = factor * controlMs + constantMs;
      const slowest = Math.max(...own.map(({ slowestMs }) => slowestMs)).toFixed(0);
      const each = own.map(({ p99Ms }) => p99Ms.toFixed(1)).join(", ");
      const first = middle(cold.own).toFixed(1);
      const note = `${controlMs.toFixed(1)} under the same attack on another node of that core; rounds ${each}, and ${first} when new; slowest ${slowest}`;
      const what = `neighbours' p99 under ${attack.what}`;
      trial.measure({ promise, what, atMost, measured: middle(own), unit: "ms", note });
      if (stallMsMax !== undefined) {
        const stall = `the neighbours' loop stood still, 99 of 100 samples below, under ${attack.what}`;
        const stood = stallOf(...lagsOf(own));
        trial.measure({ promise, what: stall, atMost: stallMsMax, measured: stood, unit: "ms" });
      }
      if (newcomers !== undefined) judgeNewcomers(trial, { promise, factor, attack, own, other });
    }
    const what = "neighbours' requests without an answer under these attacks";
    trial.measure({ promise, what, exactly: 0, measured: unanswered });
  } finally {
    apart.restore();
  }
}

interface Measured {
  readonly lab: Lab;
  readonly neighbours: Neighbours;
  readonly apart: Apart;
  readonly newcomers?: Newcomers;
}

interface Round extends PhaseFigures {
  /** Who logged in meanwhile. */
  readonly came: NeighbourPhase;
  /** Of the neighbours' node, before and after. */
  readonly lag: readonly [Lag, Lag];
}

const nobody: NeighbourPhase = { asked: 0, answered: 0, tookMs: [] };

/** Which comes first changes from round to round. */
async function inTurn(
  { lab, neighbours, apart, newcomers }: Measured,
  attack: Attack,
  rounds: number,
) {
  const phases: [Round[], Round[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    for (const edgeIndex of round % 2 === 0 ? [0, 1] : [1, 0]) {
      await attack.prepare?.(lab, edgeIndex);
      await neighbours.phase();
      const before = await lagOf(lab);
      const coming = newcomers && letCome(neighbours, newcomers);
      const [came = nobody] = await Promise.all([coming, attack.run(lab, edgeIndex)]);
      phases[edgeIndex === 0 ? 0 : 1].push({
        ...(await neighbours.phase()),
        ...{ came, lag: [before, await lagOf(lab)] },
      });
      await attack.clear?.(lab);
      apart.place();
      await gone(lab);
    }
  }
  const [own, other] = phases;
  return { own, other };
}

async function letCome(neighbours: Neighbours, { count, withinMs, afterMs }: Newcomers) {
  await Bun.sleep(afterMs);
  return neighbours.newcomers(count, withinMs);
}

/** All rounds together: a round has too few of them for a p99. */
function judgeNewcomers(
  trial: Trial,
  seen: {
    readonly promise: PromiseNumber;
    readonly factor: number;
    readonly attack: Attack;
    readonly own: readonly Round[];
    readonly other: readonly Round[];
  },
): void {
  const { promise, factor } = seen;
  const { what, hasALine = false } = seen.attack;
  const tookMs = (rounds: readonly Round[]) => rounds.flatMap(({ came }) => came.tookMs);
  const [own, other] = [tookMs(seen.own), tookMs(seen.other)];
  const bound = hasALine ? {} : { atMost: factor * quantile(other, 0.99) + constantMs };
  const note = `${spread(own)}; ${spread(other)} under the same attack on another node of that core`;
  const p99 = { ...bound, measured: quantile(own, 0.99), unit: "ms", note };
  trial.measure({ promise, what: `newcomers' p99 until they are in under ${what}`, ...p99 });
  const refused = [...seen.own, ...seen.other].map(({ came }) => came.asked - came.answered);
  const measured = refused.reduce((sum, each) => sum + each, 0);
  trial.measure({ promise, what: `newcomers refused under ${what}`, exactly: 0, measured });
}

async function lagOf({ edges }: Lab): Promise<Lag> {
  const [lag] = await readLag(edges.slice(0, 1));
  return lag!; // there is such an edge
}

function lagsOf(rounds: readonly Round[]): [Lag[], Lag[]] {
  return [rounds.map(({ lag }) => lag[0]), rounds.map(({ lag }) => lag[1])];
}

async function gone(lab: Lab): Promise<void> {
  const connected = () => lab.metric("holdfast_connections");
  await until("the attackers to be gone", async () => (await connected()) <= 2, 15_000);
}

function middle(phases: readonly PhaseFigures[]): number {
  return quantile(
    phases.map(({ p99Ms }) => p99Ms),
    0.5,
  );
}
