/** Runs scenarios one after the other, and collects what they find. */
import { isApart, runApart } from "./apart.ts";
import { type Course, courseOf } from "./course.ts";
import { type Curve, type CurveWatch, watchCurves } from "./curves.ts";
import { createDraw, seedOf } from "./draw.ts";
import type { Fencing } from "./inversions.ts";
import { type Lab, openLab } from "./lab.ts";
import { watchMoves } from "./move-watch.ts";
import { checkFromOutside } from "./outside.ts";
import { type Finding, findingOf, type Measure, type Scenario, type Trial } from "./scenario.ts";

export interface TrialOptions {
  readonly size: "short" | "long";
  /** Of the long form's counts, above 0 and up to 1. */
  readonly scale: number;
  readonly seed: number;
  /** Settings that carry a planted bug into every edge; empty: none. */
  readonly planted: Readonly<Record<string, string>>;
  readonly log: (line: string) => void;
  readonly onFinding: (finding: Finding) => void;
}

export interface Outcome {
  readonly scenario: string;
  readonly findings: readonly Finding[];
  readonly tookMs: number;
  /** Not of a scenario that could not be begun, nor of one without a lab. */
  readonly course?: Course;
}

const countsInShort = 5; // of broken rules, in words
/** For a scenario with its labs; then it could not be carried out. */
const deadlineMs = { short: 120_000, long: 7_200_000 };

/** Never rejects: what goes wrong is a broken promise of the scenario. */
export async function runScenario(scenario: Scenario, options: TrialOptions): Promise<Outcome> {
  if (scenario.isApart !== true || isApart()) return runHere(scenario, options);
  const startedMs = performance.now();
  try {
    return (await runApart(scenario, options)) ?? (await runHere(scenario, options));
  } catch (error) {
    const finding = failed(scenario, error);
    options.onFinding(finding);
    const tookMs = performance.now() - startedMs;
    return { scenario: scenario.name, findings: [finding], tookMs };
  }
}

function failed({ name, promises: [promise = 1] }: Scenario, error: unknown): Finding {
  const what = `${name} could not be carried out`;
  return { promise, what, bound: "", measured: reasonOf(error), isHeld: false };
}

async function runHere(scenario: Scenario, options: TrialOptions): Promise<Outcome> {
  const startedMs = performance.now();
  const findings: Finding[] = [];
  const labs: Lab[] = [];
  const curves: CurveWatch[] = [];
  const overlapsMs: number[] = [];
  const moves = watchMoves(scenario, {
    size: options.size,
    measure: (measure) => trial.measure(measure),
  });
  const [promise] = scenario.promises;
  if (promise === undefined) throw new Error(`Cannot run ${scenario.name}: it proves no promise`);
  const report = (finding: Finding) => {
    findings.push(finding);
    options.onFinding(finding);
  };
  const trial: Trial = {
    size: options.size,
    seed: options.seed,
    draw: (stream) => createDraw(seedOf(options.seed, `${scenario.name} ${stream}`)),
    count: ({ short, long }) =>
      options.size === "short" ? short : Math.max(short, Math.ceil(long * options.scale)),
    log: options.log,
    measure: (measure) => report(findingOf(measure)),
    async lab(wanted = {}) {
      const lab = await openLab(wanted, options.planted);
      labs.push(lab);
      curves.push(watchCurves(lab.edges));
      await moves.opened(lab);
      return lab;
    },
    watching: moves.watching,
  };
  let nodes: readonly Curve[] = [];
  const deadline = Promise.withResolvers<never>();
  const ms = deadlineMs[options.size];
  const timer = setTimeout(() => deadline.reject(new Error(`Not done within ${ms} ms`)), ms);
  try {
    await Promise.race([scenario.run(trial), deadline.promise]);
    await moves.tell(options.log);
    const broken: string[] = [];
    const fencings: Fencing[] = [];
    let connections = 0;
    for (const lab of labs) {
      const { fencing, ...seen } = await checkFromOutside(lab);
      broken.push(...seen.broken);
      connections += seen.connections;
      for (const ms of seen.overlapsMs) overlapsMs.push(ms);
      if (fencing !== null) fencings.push(fencing);
    }
    const isStale = [options.size, "always"].includes(scenario.makesStale ?? "");
    for (const measure of measuresOf(fencings, isStale)) trial.measure({ promise, ...measure });
    for (const words of broken.slice(0, countsInShort)) options.log(words);
    const what = "rules broken, as clients and registry saw it from outside";
    const note = `${connections.toLocaleString("en")} connections`;
    // Where nobody was recorded there is little to be broken: only what is left behind.
    const bound = connections === 0 && broken.length === 0 ? {} : { exactly: 0 };
    trial.measure({ promise, what, ...bound, measured: broken.length, note });
  } catch (error) {
    report(failed(scenario, error));
  } finally {
    clearTimeout(timer);
    nodes = curves.flatMap((watch) => watch.stop());
    for (const lab of labs) await lab.stop().catch((error) => options.log(reasonOf(error)));
  }
  const outcome = {
    ...{ scenario: scenario.name, findings },
    tookMs: performance.now() - startedMs,
  };
  if (labs.length === 0) return outcome;
  const entries = labs.flatMap(({ diary }) => diary.entries);
  const views = labs.flatMap(({ recorder }) => recorder.views);
  return { ...outcome, course: courseOf({ startedMs, entries, views, overlapsMs, nodes }) };
}

function measuresOf(
  fencings: readonly Fencing[],
  isStale: boolean,
): readonly Omit<Measure, "promise">[] {
  if (fencings.length === 0) return [];
  const sum = (what: keyof Fencing) => fencings.reduce((all, found) => all + found[what], 0);
  const taken = {
    what: "requests a backend with a fence took behind those of a newer connection",
    ...{ exactly: 0, measured: sum("inverted") },
    note: `${sum("accepted").toLocaleString("en")} taken, ${sum("refused")} refused`,
  };
  const what = "requests of superseded connections that it refused";
  return isStale ? [taken, { what, atLeast: 1, measured: sum("refused") }] : [taken];
}

/** Nothing that was promised is broken. */
export function isWhole({ findings }: Outcome): boolean {
  return findings.every(({ isHeld }) => isHeld);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
