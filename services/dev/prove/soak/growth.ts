/**
 * What grew over a soak, judged: a slope may be no more than is promised plus what the noise of
 * this run leaves open, and that must be little, or the run was too short to say anything.
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
const judgedMinutes = 20;
/** An hour, MiB and descriptors. */
const promised = 0.5;
const promisedFds = 1;
/** What an hour may leave open, MiB; a line's noise falls with its time to the power of 1.5. */
const openInAnHour = 8;

export function tellGrowth(trial: Trial, looks: readonly Look[], minutes: number): void {
  const isJudged = minutes >= judgedMinutes;
  const openMax = openInAnHour * (60 / minutes) ** 1.5;
  const ofEdge = (index: number, name: string) => (look: Look) => look.edges[index]?.get(name) ?? 0;
  const collected = looks.filter(({ alive }) => alive !== null);
  const memory = (what: string, line: Line, connects: number) => {
    const { perHour, uncertainty, first, last } = line;
    const perMillion = ((last - first) / connects) * million;
    const ends = `${first.toFixed(1)} to ${last.toFixed(1)} MiB`;
    const share = `${perMillion.toFixed(1)} MiB a million connects`;
    const note = `± ${uncertainty.toFixed(2)}, ${ends}, ${share}`;
    const unit = "MiB an hour";
    const bound = isJudged ? { atMost: promised + uncertainty } : {};
    const open = isJudged ? { atMost: openMax } : {};
    trial.measure({ promise, what: `${what}: growth`, ...bound, measured: perHour, unit, note });
    const most = { measured: perHour + uncertainty, unit, note: `${minutes} minutes` };
    trial.measure({ promise, what: `${what}: at most, 95 %`, ...open, ...most });
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
  tellAlone(trial, looks.map(residentOf(0)), lineOf(looks, residentOf(0), window), first ?? 0);
  const connects = second ?? 0;
  memory("resident memory of edge 2, collected", lineOf(collected, residentOf(1)), connects);
  const objects = mebibytes(({ alive }) => alive?.objectBytes ?? 0);
  memory("objects alive in edge 2", lineOf(collected, objects), connects);
  const alive = mebibytes((look) => look.alive?.bytes ?? 0);
  memory("alive in edge 2, with compiled code", lineOf(collected, alive), connects);
  tellOthers(trial, isJudged, lineOf, looks);
}

/**
 * Nobody collects its garbage but the engine, which does so by its own clock and limits: the
 * highest is what counts, and the slope of the lowest is told for the record.
 */
function tellAlone(
  trial: Trial,
  resident: readonly number[],
  { perHour, uncertainty }: Line,
  connects: number,
): void {
  const of = "resident memory of edge 1, left alone";
  const highest = { measured: Math.max(...resident), unit: "MiB", atMost: residentMax };
  const begun = `${resident[0]?.toFixed(1)} in the beginning, ${Math.round(connects)} connects`;
  trial.measure({ promise, what: `${of}: highest`, ...highest, note: begun });
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
  const tell = (what: string, read: (look: Look) => number, unit: string, promised?: number) => {
    const { perHour, uncertainty, first, last } = lineOf(looks, read);
    const note = `± ${uncertainty.toFixed(2)}, ${first.toFixed(1)} to ${last.toFixed(1)}`;
    const isBound = isJudged && promised !== undefined;
    const bound = isBound ? { atMost: promised + uncertainty } : {};
    const measured = { measured: perHour, unit: `${unit} an hour`, note };
    trial.measure({ promise, what: `${what}: growth`, ...bound, ...measured });
  };
  for (const index of [0, 1]) {
    const beside = ({ edges }: Look) =>
      (edges[index]?.get("process_open_fds") ?? 0) -
      (edges[index]?.get("holdfast_connections") ?? 0);
    tell(`descriptors of edge ${index + 1} beside connections`, beside, "fds", promisedFds);
  }
  tell("keys in Redis", ({ keys }) => keys, "keys");
  tell("subscriptions in NATS", ({ subscriptions }) => subscriptions, "subscriptions");
}
