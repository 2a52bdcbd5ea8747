/** What a run says: a line for each finding, a table at the end, and the part of docs/proof.md. */
import type { Course, Spread } from "./course.ts";
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
    ...coursesOf(shown.map(({ name }) => latest.get(name)!.outcome)),
  ].join("\n");
}

const courseHead = [
  ...["scenario", "connections", "tokens used", "resumed", "ended by", "overlaps, ms"],
  ...["until resumed, ms", "MiB of a node", "its descriptors", "done to it"],
];

function coursesOf(outcomes: readonly Outcome[]): readonly string[] {
  const rows = outcomes.flatMap(({ scenario, course }) => {
    return course === undefined || course.connections === 0 ? [] : [courseRow(scenario, course)];
  });
  if (rows.length === 0) return [];
  return ["", row(courseHead), row(courseHead.map(() => "---")), ...rows];
}

function courseRow(scenario: string, course: Course): string {
  const { connections, tokensUsed, resumed, closes, overlapsMs, gapsMs, nodes } = course;
  const counts = [connections, tokensUsed, resumed].map((count) => count.toLocaleString("en"));
  const ended = Object.entries(closes).toSorted(([, left], [, right]) => right - left);
  const byCode = ended.map(([word, count]) => `${word} ${count.toLocaleString("en")}`);
  const largest = nodes.toSorted((left, right) => {
    return Math.max(...right.residentMiB) - Math.max(...left.residentMiB);
  })[0];
  const curves = [largest?.residentMiB ?? [], largest?.descriptors ?? []].map(curveText);
  const spreads = [overlapsMs, gapsMs].map(spreadText);
  const done = doneTo(course);
  return row([`\`${scenario}\``, ...counts, byCode.join(", "), ...spreads, ...curves, done]);
}

/** "p50 1.2, p99 5, most 9 of 150". */
function spreadText(spread: Spread | null): string {
  if (spread === null) return "none";
  const { count, p50, p99, most } = spread;
  return `p50 ${p50}, p99 ${p99}, most ${most} of ${count.toLocaleString("en")}`;
}

const bars = "▁▂▃▄▅▆▇█";
const barsMax = 12;

/** From the lowest to the highest, and how it went. */
function curveText(values: readonly number[]): string {
  const there = values.filter((value) => value > 0);
  if (there.length === 0) return "none";
  const [low, high] = [Math.min(...there), Math.max(...there)];
  const width = Math.ceil(values.length / barsMax);
  const steps = Array.from({ length: Math.ceil(values.length / width) }, (_, step) => {
    return Math.max(...values.slice(step * width, (step + 1) * width));
  });
  const barOf = (value: number) => {
    const share = high === low ? 0 : (value - low) / (high - low);
    return bars[Math.max(0, Math.round(share * (bars.length - 1)))] ?? "";
  };
  return `${low} to ${high} ${steps.map(barOf).join("")}`;
}

const kindsMax = 8;

/** Whatever was done to servers, nodes and links, by kind; the times are in docs/proof.json. */
function doneTo({ faults }: Course): string {
  const kinds = new Map<string, number>();
  for (const { what } of faults) {
    const kind = what.replace(/-\d+/g, "");
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  const told = [...kinds].slice(0, kindsMax).map(([kind, count]) => {
    return count === 1 ? kind : `${count} x ${kind}`;
  });
  const more = kinds.size > kindsMax ? [`${kinds.size - kindsMax} more kinds`] : [];
  return [...told, ...more].join("; ") || "nothing";
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
