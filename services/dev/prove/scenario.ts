/**
 * What a scenario is to the proof kit: a record that says what it shows, and a run that is handed
 * a trial. Everything a scenario needs comes with the trial; nothing it starts outlives it. What
 * it does to a node must show in a metric: `moves` says in which, and the trial looks.
 */
import type { Lab, LabOptions } from "./lab.ts";
import type { Move } from "./moves.ts";

/** The ten promises of docs/proof.md, by number. */
export type PromiseNumber = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10;

export interface Scenario {
  /** Kebab-case, as its file. */
  readonly name: string;
  readonly promises: readonly PromiseNumber[];
  /** One sentence: what is done, and what then holds. */
  readonly shows: string;
  /**
   * Metrics that its faults move: each is a finding, read from the edges when a lab opens and when
   * the run has ended, or around a fault with `watching`.
   */
  readonly moves: readonly Move[];
  /**
   * In which form its faults let superseded connections reach a backend: its fence must refuse
   * some of them then, or the check of what it took could not fail.
   */
  readonly makesStale?: "always" | "long";
  /** Not part of the short form unless it is asked for by name. */
  readonly isLongOnly?: boolean;
  /** Runs in a network namespace of its own, with all it starts, where there is one to be had. */
  readonly isApart?: boolean;
  /** Throws only when it could not be carried out, which counts as a broken promise. */
  run(trial: Trial): Promise<void>;
}

export interface Finding {
  readonly promise: PromiseNumber;
  readonly what: string;
  /** Empty: measured for the record, nothing is promised. */
  readonly bound: string;
  readonly measured: string;
  readonly isHeld: boolean;
}

export interface Measure {
  readonly promise: PromiseNumber;
  readonly what: string;
  readonly measured: number;
  /** Of the measured number and of the bound: "ms", "tokens". */
  readonly unit?: string;
  /** At most one of the three; none: for the record only. */
  readonly atMost?: number;
  readonly atLeast?: number;
  readonly exactly?: number;
  /** What else is worth saying: sizes, p50 and p99. */
  readonly note?: string;
}

export interface Trial {
  readonly size: "short" | "long";
  readonly seed: number;
  /** Numbers from 0 up to 1 from the seed; each stream of them has a name of its own. */
  draw(stream: string): () => number;
  /** A count by the size of the run: the long one is scaled by `--scale`. */
  count(counts: { readonly short: number; readonly long: number }): number;
  /** A word to whoever watches. */
  log(line: string): void;
  /** Reports a finding at once. */
  measure(measure: Measure): void;
  /**
   * Servers, edges and a recorder, to be had more than once. After the run each lab is checked
   * from outside as every other, and then ended.
   */
  lab(options?: LabOptions): Promise<Lab>;
  /**
   * Does it, and reports whether these moves of the scenario's were seen meanwhile: for a gauge
   * that comes back, for nodes that end, and for several faults of which each must show.
   */
  watching<T>(lab: Lab, moves: readonly Move[], act: () => Promise<T>): Promise<T>;
}

/** A measure as it is printed. */
export function findingOf(measure: Measure): Finding {
  const { promise, what, measured, unit = "", note } = measure;
  const { atMost, atLeast, exactly } = measure;
  const isCounted = (value: number) => unit !== "" && Number.isFinite(value);
  const said = (value: number) => `${round(value)}${isCounted(value) ? ` ${unit}` : ""}`;
  const bounds = [
    ...(exactly === undefined ? [] : [said(exactly)]),
    ...(atMost === undefined ? [] : [`at most ${said(atMost)}`]),
    ...(atLeast === undefined ? [] : [`at least ${said(atLeast)}`]),
  ];
  const isHeld =
    (exactly === undefined || measured === exactly) &&
    (atMost === undefined || measured <= atMost) &&
    (atLeast === undefined || measured >= atLeast);
  return {
    promise,
    what,
    bound: bounds.join(", "),
    measured: note === undefined ? said(measured) : `${said(measured)} (${note})`,
    isHeld,
  };
}

/** Three digits that matter, and no more than two behind the point. */
function round(value: number): string {
  if (!Number.isFinite(value)) return value === Number.POSITIVE_INFINITY ? "for ever" : "none";
  if (Number.isInteger(value)) return value.toLocaleString("en");
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return Number(value.toFixed(digits)).toLocaleString("en");
}
