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

/** The generated part of docs/proof.md. */
export function markdown(
  run: Run,
  outcomes: readonly Outcome[],
  scenarios: readonly Scenario[],
): string {
  const [head, ...rows] = rowsOf(outcomes).map((row) => `| ${row.join(" | ")} |`);
  const scale = run.size === "short" || run.scale === 1 ? "" : `, at ${run.scale} of its counts`;
  const shown = scenarios.filter(({ name }) => outcomes.some(({ scenario }) => scenario === name));
  const seconds = new Map(outcomes.map((one) => [one.scenario, Math.round(one.tookMs / 1000)]));
  return [
    `Run on ${run.date} with \`${run.command}\`: the ${run.size} form${scale}, seed ${run.seed}.`,
    `${run.versions}; ${run.machine}.`,
    "",
    head,
    "| --- | --- | --- | --- | --- |",
    ...rows,
    "",
    "| scenario | shows | promises | seconds |",
    "| --- | --- | --- | --- |",
    ...shown.map(({ name, shows, promises }) => {
      return `| \`${name}\` | ${shows} | ${promises.join(", ")} | ${seconds.get(name)} |`;
    }),
  ].join("\n");
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
