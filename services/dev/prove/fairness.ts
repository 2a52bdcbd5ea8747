/**
 * What an attack on a node costs its other clients, apart from what attackers cost the machine: the
 * same attack goes, in turn, to the node of the neighbours and to another node on the same core.
 * The kernel divides a core fairly between two processes; a node has to do as well among its
 * clients, within a factor of two. A first round finds code that is not compiled yet: it is told,
 * and does not count.
 */
import { type Apart, standApart } from "./cores.ts";
import { quantile } from "./figures.ts";
import { until } from "./ground.ts";
import type { Lab, LabOptions } from "./lab.ts";
import { type Neighbours, type PhaseFigures, startNeighbours } from "./neighbours.ts";
import type { PromiseNumber, Trial } from "./scenario.ts";

export interface Attack {
  readonly what: string;
  /** Before the neighbours are measured. */
  prepare?(lab: Lab, edgeIndex: number): Promise<void>;
  /** Comes and goes; nothing of it is left when it resolves but what the node still ends. */
  run(lab: Lab, edgeIndex: number): Promise<void>;
  /** After they were measured: whatever is left goes, and every node is there again. */
  clear?(lab: Lab): Promise<void>;
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
  },
): Promise<void> {
  const { promise, settings = {}, rounds, attacks, factor = usualFactor } = options;
  const lab = await trial.lab({ edges: 2, settings, ...options.lab });
  const neighbours = await startNeighbours(lab);
  const apart = standApart(lab, neighbours.pid);
  try {
    await neighbours.phase();
    await Bun.sleep(1000);
    const calm = await neighbours.phase();
    trial.log(`neighbours undisturbed: p99 ${calm.p99Ms.toFixed(1)} ms; ${apart.how}`);
    let unanswered = 0;
    for (const attack of attacks) {
      const on = { lab, neighbours, apart };
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
    }
    const what = "neighbours' requests without an answer under these attacks";
    trial.measure({ promise, what, exactly: 0, measured: unanswered });
  } finally {
    apart.restore();
    await neighbours.stop();
  }
}

interface Measured {
  readonly lab: Lab;
  readonly neighbours: Neighbours;
  readonly apart: Apart;
}

/** Which comes first changes from round to round. */
async function inTurn({ lab, neighbours, apart }: Measured, attack: Attack, rounds: number) {
  const phases: [PhaseFigures[], PhaseFigures[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    for (const edgeIndex of round % 2 === 0 ? [0, 1] : [1, 0]) {
      await attack.prepare?.(lab, edgeIndex);
      await neighbours.phase();
      await attack.run(lab, edgeIndex);
      phases[edgeIndex === 0 ? 0 : 1].push(await neighbours.phase());
      await attack.clear?.(lab);
      apart.place();
      await gone(lab);
    }
  }
  const [own, other] = phases;
  return { own, other };
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
