/**
 * What grew over a soak, judged: of a line through it the upper end of its 95 % interval is held to
 * the bound, so that a run too short or too noisy to say anything does not pass.
 */
import type { Trial } from "../scenario.ts";
import type { Alive } from "./alive.ts";
import { type Line, lineThrough, type Point, troughs, withoutWarmUp } from "./line.ts";
import type { Sample } from "./samples.ts";

export interface Look {
  readonly atMs: number;
  /** Of the edges that live through it all. */
  readonly edges: readonly (Sample | null)[];
  /** Of the second one, when its garbage was collected just before. */
  readonly alive: Alive | null;
  readonly keys: number;
  readonly subscriptions: number;
}

const promise = 10;
const mebibyte = 1024 * 1024;
const million = 1_000_000;
/** Engines compile, pools fill, allocators spread. */
const warmUpPart = 1 / 3;
/** Of so many looks the lowest counts where the engine alone collects: by then it has. */
const window = 60;
/** MiB: with 15 alive the engine was seen to collect all at a heap of 20 to 41. */
const residentMax = 160;
/** Less says too little to be judged. */
const judgedMinutes = 45;
/** An hour, MiB and descriptors: what is alive, and what is open. */
const aliveMax = 0.5;
const fdsMax = 1;
/**
 * An hour, MiB: allocators and the compiler settle for longer than that, a little less with every
 * doubling of the time. Noise and settling together fall with the time to the power of 1.5.
 */
const residentInAnHour = 5;

export function tellGrowth(trial: Trial, looks: readonly Look[], minutes: number): void {
  const isJudged = minutes >= judgedMinutes;
  const ofEdge = (index: number, name: string) => (look: Look) => look.edges[index]?.get(name) ?? 0;
  const collected = looks.filter(({ alive }) => alive !== null);
  const memory = (what: string, line: Line, connects: number, most: number) => {
    const share = `${((line.gained / connects) * million).toFixed(1)} MiB a million connects`;
    const bound = isJudged ? { atMost: most } : {};
    tellLine(trial, what, line, { unit: "MiB", ...bound, share: `, ${share}, ${minutes} minutes` });
  };
  const lineOf = (some: readonly Look[], read: (look: Look) => number, lowestOf = 1) => {
    const points: Point[] = some.map((look) => ({ atMs: look.atMs, value: read(look) }));
    return lineThrough(troughs(withoutWarmUp(points, warmUpPart), lowestOf));
  };
  const mebibytes = (read: (look: Look) => number) => (look: Look) => read(look) / mebibyte;

  const residentOf = (index: number) => mebibytes(ofEdge(index, "process_resident_memory_bytes"));
  const [first, second] = [0, 1].map((index) => {
    return lineOf(looks, ofEdge(index, "holdfast_connections_opened_total")).gained;
  });
  const alone = looks.map((look): Point => ({ atMs: look.atMs, value: residentOf(0)(look) }));
  tellAlone(trial, alone, lineOf(looks, residentOf(0), window), first ?? 0);
  const connects = second ?? 0;
  const residentMost = residentInAnHour * (60 / minutes) ** 1.5;
  const residentLine = lineOf(collected, residentOf(1));
  memory("resident memory of edge 2, collected", residentLine, connects, residentMost);
  const objects = mebibytes(({ alive }) => alive?.objectBytes ?? 0);
  memory("objects alive in edge 2", lineOf(collected, objects), connects, aliveMax);
  const alive = mebibytes((look) => look.alive?.bytes ?? 0);
  memory("alive in edge 2, with compiled code", lineOf(collected, alive), connects, aliveMax);
  tellOthers(trial, isJudged, lineOf, looks);
}

function tellLine(
  trial: Trial,
  what: string,
  { perHour, uncertainty, first, last }: Line,
  about: { readonly unit: string; readonly atMost?: number; readonly share?: string },
): void {
  const { unit, atMost, share = "" } = about;
  const ends = `${first.toFixed(2)} to ${last.toFixed(2)}`;
  const note = `95 % of ${perHour.toFixed(2)} ± ${uncertainty.toFixed(2)}, ${ends}${share}`;
  const measured = { measured: perHour + uncertainty, unit: `${unit} an hour`, note };
  const bound = atMost === undefined ? {} : { atMost };
  trial.measure({ promise, what: `${what}: growth, at most`, ...bound, ...measured });
}

/**
 * Nobody collects its garbage but the engine, which does so by its own clock and limits: the
 * highest after the warm-up is what counts. The highest of all, which may lie before the engine's
 * first full collection, and the slope of the lowest are told for the record.
 */
function tellAlone(
  trial: Trial,
  resident: readonly Point[],
  { perHour, uncertainty }: Line,
  connects: number,
): void {
  const of = "resident memory of edge 1, left alone";
  const highestOf = (points: readonly Point[]) => Math.max(...points.map(({ value }) => value));
  const highest = { measured: highestOf(withoutWarmUp(resident, warmUpPart)), unit: "MiB" };
  const begun = `${resident[0]?.value.toFixed(1)} in the beginning`;
  const [all, told] = [highestOf(resident).toFixed(1), `${Math.round(connects)} connects`];
  const about = `${begun}, ${all} with the warm-up, ${told}`;
  trial.measure({ promise, what: `${of}: highest`, ...highest, atMost: residentMax, note: about });
  const note = `± ${uncertainty.toFixed(1)}, the lowest of every five minutes`;
  const slope = { measured: perHour, unit: "MiB an hour", note };
  trial.measure({ promise, what: `${of}: growth`, ...slope });
}

function tellOthers(
  trial: Trial,
  isJudged: boolean,
  lineOf: (looks: readonly Look[], read: (look: Look) => number) => Line,
  looks: readonly Look[],
): void {
  const tell = (what: string, read: (look: Look) => number, unit: string, most?: number) => {
    const bound = isJudged && most !== undefined ? { atMost: most } : {};
    tellLine(trial, what, lineOf(looks, read), { unit, ...bound });
  };
  for (const index of [0, 1]) {
    const beside = ({ edges }: Look) =>
      (edges[index]?.get("process_open_fds") ?? 0) -
      (edges[index]?.get("holdfast_connections") ?? 0);
    tell(`descriptors of edge ${index + 1} beside connections`, beside, "fds", fdsMax);
  }
  tell("keys in Redis", ({ keys }) => keys, "keys");
  tell("subscriptions in NATS", ({ subscriptions }) => subscriptions, "subscriptions");
}
