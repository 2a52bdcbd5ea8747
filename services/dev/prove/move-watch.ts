/** Judges the moves of one scenario: those it watches itself, and the others from lab to end. */
import { until } from "./ground.ts";
import type { Lab } from "./lab.ts";
import { type Move, nameOf, type Watch, watchMetrics } from "./moves.ts";
import type { Measure, Scenario, Trial } from "./scenario.ts";

interface MoveWatch extends Pick<Trial, "watching"> {
  opened(lab: Lab): Promise<void>;
  /** After the run, before the labs are checked and ended. */
  tell(log: (line: string) => void): Promise<void>;
}

const lookEveryMs = 250;

export function watchMoves(
  { name, moves, promises: [promise = 1] }: Scenario,
  options: {
    readonly size: Trial["size"];
    readonly measure: (measure: Measure) => void;
    readonly patienceMs?: number; // for what a node counts a moment later
  },
): MoveWatch {
  const { size, measure, patienceMs = 3_000 } = options;
  const watches: Watch[] = []; // of each lab
  const watched = new Set<Move>();
  return {
    async opened(lab) {
      watches.push(await watchMetrics(lab));
    },
    async watching(lab, some, act) {
      const stray = some.find((move) => !moves.includes(move));
      if (stray) throw new Error(`Cannot watch ${nameOf(stray)}: it is not among the moves`);
      const watch = await watchMetrics(lab);
      const over = Promise.withResolvers<void>();
      let isOver = false;
      const looking = (async () => {
        while (!isOver) {
          await watch.look();
          await Promise.race([Bun.sleep(lookEveryMs), over.promise]);
        }
      })();
      try {
        const result = await act();
        await judge([watch], some);
        return result;
      } finally {
        isOver = true;
        over.resolve();
        await looking;
      }
    },
    async tell(log) {
      await judge(
        watches,
        moves.filter((move) => !watched.has(move)),
      );
      if (process.env["PROVE_METRICS"] === undefined) return;
      for (const line of watches.flatMap((watch) => watch.all())) log(line);
    },
  };

  async function judge(of: readonly Watch[], all: readonly Move[]): Promise<void> {
    const some = all.filter(({ isLongOnly = false }) => !(isLongOnly && size === "short"));
    const movedOf = (move: Move) => of.reduce((sum, watch) => sum + watch.moved(move), 0);
    const haveMoved = async () => {
      await Promise.all(of.map((watch) => watch.look()));
      return some.every((move) => movedOf(move) > 0);
    };
    if (of.length === 0 && some.length > 0) throw new Error(`${name} has moves, and no lab`);
    await until("the metrics to move", haveMoved, patienceMs).catch(() => {});
    for (const move of some) {
      watched.add(move);
      const what = `${move.fault}: ${nameOf(move)} ${move.isFall ? "fell" : "moved"}`;
      measure({ promise, what, atLeast: 1, measured: movedOf(move) });
    }
  }
}
