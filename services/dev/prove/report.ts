/** What a run says: a line for each finding, a table at the end, and the part of docs/proof.md. */
import type { Finding, Scenario } from "./scenario.ts";
import type { Outcome } from "./trial.ts";

/** What a run was, for whoever wants to repeat it. */
export interface Run {
  readonly command: string;
  readonly size: "short" | "long";
  readonly scale: number;
  readonly seed: number;
  readonly date: string; // YYYY-MM-DD
  readonly versions: string;
  readonly machine: string;
}

export function findingLine(finding: Finding): string {
  const verdict = verdictOf(finding).padEnd(8);
  const bound = finding.bound === "" ? "" : `, bound ${finding.bound}`;
  return `  ${verdict} ${finding.promise}: ${finding.what}: ${finding.measured}${bound}`;
}

export function verdictOf({ isHeld, bound }: Finding): "held" | "BROKEN" | "measured" {
  if (!isHeld) return "BROKEN";
  return bound === "" ? "measured" : "held";
}

/** In the order of the promises, as columns. */
export function tableText(outcomes: readonly Outcome[]): string {
  const rows = rowsOf(outcomes);
  const widths = [0, 1, 2, 3, 4].map((column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** One run, as `--json` keeps it. */
export interface Report {
  readonly run: Run;
  readonly outcomes: readonly Outcome[];
}

/** The generated part of docs/proof.md. Of a scenario that ran twice the last report counts. */
export function markdown(reports: readonly Report[], scenarios: readonly Scenario[]): string {
  const latest = new Map<string, { run: Run; outcome: Outcome }>();
  for (const { run, outcomes } of reports) {
    for (const outcome of outcomes) latest.set(outcome.scenario, { run, outcome });
  }
  const shown = scenarios.filter(({ name }) => latest.has(name));
  const [head, ...rows] = rowsOf([...latest.values()].map(({ outcome }) => outcome));
  const about = new Set(reports.map(({ run }) => `${run.versions}; ${run.machine}.`));
  return [
    ...about,
    "",
    row(head ?? []),
    "| --- | --- | --- | --- | --- |",
    ...rows.map(row),
    "",
    "| scenario | shows | promises | form | seed | seconds | run on |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...shown.map(({ name, shows, promises }) => {
      const { run, outcome } = latest.get(name)!; // those without were left out
      const seconds = Math.round(outcome.tookMs / 1000);
      const about = [formOf(run), run.seed, seconds, run.date];
      return row([`\`${name}\``, shows, promises.join(", "), ...about]);
    }),
  ].join("\n");
}

function row(cells: readonly (string | number)[]): string {
  return `| ${cells.join(" | ")} |`;
}

function formOf({ size, scale }: Run): string {
  return size === "short" || scale === 1 ? size : `long, ${scale} of its counts`;
}

function rowsOf(outcomes: readonly Outcome[]): string[][] {
  const found = outcomes.flatMap(({ scenario, findings }) =>
    findings.map((finding) => ({ scenario, finding })),
  );
  const sorted = found.toSorted((left, right) => left.finding.promise - right.finding.promise);
  return [
    ["promise", "measured in", "bound", "measured", "verdict"],
    ...sorted.map(({ scenario, finding }) => [
      String(finding.promise),
      `${scenario}: ${finding.what}`,
      finding.bound,
      finding.measured,
      verdictOf(finding),
    ]),
  ];
}
