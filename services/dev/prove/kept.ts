/**
 * The results that the repository keeps, docs/proof.json: of each scenario and of each planted bug
 * the last run that was written. docs/proof.md shows them.
 */
import { join } from "node:path";
import type { Catch } from "./planted/hunt.ts";
import { markdown, type Report, type Run } from "./report.ts";
import type { Scenario } from "./scenario.ts";
import { isWhole, type Outcome } from "./trial.ts";

export interface Kept {
  readonly scenarios: readonly { readonly run: Run; readonly outcome: Outcome }[];
  readonly planted: readonly { readonly run: Run; readonly found: Found }[];
}

/** A hunt, without its findings. */
export interface Found {
  readonly bug: string;
  readonly what: string;
  readonly red: readonly string[];
  /** How many scenarios stayed green; null: only those ran that must break. */
  readonly green: number | null;
  readonly missed: readonly string[];
  readonly stray: readonly string[];
}

const docs = join(import.meta.dir, "../../../docs");
const file = join(docs, "proof.json");
const paper = join(docs, "proof.md");

export async function readKept(): Promise<Kept> {
  return (await Bun.file(file).json()) as Kept; // ours
}

/** These take the places of older ones. */
export function withReports(kept: Kept, reports: readonly Report[]): Kept {
  const latest = new Map(kept.scenarios.map((one) => [one.outcome.scenario, one]));
  for (const { run, outcomes } of reports) {
    for (const outcome of outcomes) latest.set(outcome.scenario, { run, outcome });
  }
  return { ...kept, scenarios: [...latest.values()] };
}

export function withCatches(kept: Kept, run: Run, catches: readonly Catch[]): Kept {
  const latest = new Map(kept.planted.map((one) => [one.found.bug, one]));
  for (const caught of catches) latest.set(caught.bug.name, { run, found: foundOf(caught) });
  return { ...kept, planted: [...latest.values()] };
}

function foundOf({ bug, outcomes, missed, stray }: Catch): Found {
  const red = outcomes.filter((outcome) => !isWhole(outcome)).map(({ scenario }) => scenario);
  const green = outcomes.length > bug.reds.length ? outcomes.length - red.length : null;
  return { bug: bug.name, what: bug.what, red, green, missed, stray };
}

/** What there is to have results of. */
export interface Known {
  readonly scenarios: readonly Scenario[];
  readonly bugs: readonly string[];
}

/** In their order; what is no scenario or no bug any more is left out. */
export function inOrder({ scenarios, planted }: Kept, known: Known): Kept {
  const names = known.scenarios.map(({ name }) => name);
  return {
    scenarios: sortedBy(scenarios, ({ outcome }) => names.indexOf(outcome.scenario)),
    planted: sortedBy(planted, ({ found }) => known.bugs.indexOf(found.bug)),
  };
}

/** The generated parts of docs/proof.md. */
export function partsOf({ scenarios, planted }: Kept, known: Known) {
  const reports = scenarios.map(({ run, outcome }) => ({ run, outcomes: [outcome] }));
  return { results: markdown(reports, known.scenarios), planted: plantedMarkdown(planted) };
}

/** Writes both files. */
export async function keep(kept: Kept, known: Known): Promise<void> {
  const left = inOrder(kept, known);
  await Bun.write(file, jsonOf(left));
  const parts = partsOf(left, known);
  await write("results", parts.results);
  await write("planted", parts.planted);
}

/** Curves and faults have a line each, or a change of one run would be thousands. */
export function jsonOf(kept: Kept): string {
  const inOneLine = (text: string) => text.replace(/\s*\n\s*/g, " ");
  const text = JSON.stringify(kept, null, 2)
    .replace(/\[[\s\d,.]+\]/g, inOneLine)
    .replace(/\{\s+"atMs": \d+,\s+"what": "[^"\n]*"\s+\}/g, inOneLine);
  return `${text}\n`;
}

/** Without those that have no place. */
function sortedBy<T>(list: readonly T[], placeOf: (one: T) => number): readonly T[] {
  const known = list.filter((one) => placeOf(one) >= 0);
  return known.toSorted((left, right) => placeOf(left) - placeOf(right));
}

function plantedMarkdown(planted: Kept["planted"]): string {
  const about = new Set(planted.map(({ run }) => `${run.versions}; ${run.machine}.`));
  const rows = planted.map(({ run, found: { bug, what, red, green, missed, stray } }) => {
    const wrong = [
      ...missed.map((name) => `${name} stayed green`),
      ...stray.map((name) => `${name} turned red`),
    ];
    const verdict = wrong.length === 0 ? "caught" : wrong.join(", ");
    return `| ${bug} | ${what} | ${red.join(", ")} | ${green ?? "not run"} | ${verdict} | ${run.date} |`;
  });
  return [
    ...about,
    "",
    "| bug | what it does | turned red | stayed green | verdict | run on |",
    "| --- | --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}

/** Puts the text between the two marks of that name. */
async function write(name: "results" | "planted", text: string): Promise<void> {
  const [first, last] = [`<!-- ${name}: written by --write -->`, `<!-- end of ${name} -->`];
  const old = await Bun.file(paper).text();
  const [start, end] = [old.indexOf(first), old.indexOf(last)];
  if (start < 0 || end < start) throw new Error(`Cannot write ${paper}: it has no ${name}`);
  await Bun.write(paper, `${old.slice(0, start)}${first}\n\n${text}\n\n${old.slice(end)}`);
}
