/**
 * The table of docs/operations.md: what happens, which metric moves, what that tells an operator,
 * and where it is shown. Rows that no scenario injects are listed here, with the test that does.
 */
import { join } from "node:path";
import { type Move, nameOf } from "./moves.ts";
import { type Row, rows } from "./rows.ts";
import type { Scenario } from "./scenario.ts";

export interface Elsewhere extends Move {
  /** The test that shows it, from the root of the repository. */
  readonly test: string;
}

/** What the kit does not inject. */
export const elsewhere: readonly Elsewhere[] = [
  {
    ...{ row: "C12", fault: "a web page that is not listed connects" },
    ...{ metric: "holdfast_connections_rejected_total", label: 'reason="origin"' },
    tells: "pages of others, or a page of yours that `EDGE_WS_ORIGINS` lacks",
    test: "services/edge/test/e2e/handshake.test.ts",
  },
  {
    ...{ row: "C13", fault: "an upstream orders pushes to names that are none" },
    ...{ metric: "holdfast_push_refused_total" },
    tells: "an upstream sends orders that are refused; `reason` says why",
    test: "services/edge/test/cluster/push-refusal.test.ts",
  },
  {
    ...{ row: "C14", fault: "Redis refuses a command to the edge's user" },
    ...{ metric: "holdfast_dependency_errors_total", label: 'dependency="redis",reason="other"' },
    tells: "scripts fail: somebody else writes to these keys, or has no right to",
    test: "services/dev/test/cluster/dependencies.test.ts",
  },
  {
    ...{ row: "C15", fault: "an exception in a handler" },
    ...{ metric: "holdfast_exceptions_total" },
    tells: "a bug: that connection was closed, the log has where; report it",
    test: "services/edge/test/e2e/requests.test.ts",
  },
  {
    ...{ row: "D5", fault: "a configuration with a mistake, or too few descriptors" },
    ...{ metric: "up" },
    tells: "Prometheus's own: a process that cannot start exits 1 and says why on stderr",
    test: "services/dev/test/configuration/bad-configuration.test.ts",
  },
  {
    ...{ row: "D6", fault: "another version is rolled out" },
    ...{ metric: "holdfast_build_info" },
    tells: "which version and commit each node runs",
    test: "packages/runtime/src/metrics.test.ts",
  },
  {
    ...{ row: "D7", fault: "the metrics of a node cannot be read" },
    ...{ metric: "up" },
    tells: "Prometheus's own: whatever else stands still says nothing, then",
    test: "services/dev/test/cluster/metrics.test.ts",
  },
];

/** What the product does not do yet: nothing to inject, and nothing that could move. */
export const unbuilt: Readonly<Partial<Record<Row, string>>> = {
  B8: "not part of the tests",
  C6: "PROXY protocol is not understood",
  D3: "TLS ends at the load balancer",
  D4: "TLS ends at the load balancer",
};

const page = new URL("../../../docs/operations.md", import.meta.url);
const [first, last] = ["<!-- faults: written by --faults -->", "<!-- end of faults -->"];

/** The rows for which nothing moves although the product can meet them. */
export function rowsWithout(scenarios: readonly Scenario[]): readonly string[] {
  const shown = new Set([...scenarios.flatMap(({ moves }) => moves), ...elsewhere].map(rowOf));
  return Object.keys(rows).filter((row) => !shown.has(row as Row) && !(row in unbuilt));
}

function rowOf({ row }: Move): Row {
  return row;
}

export function faultTable(scenarios: readonly Scenario[]): string {
  const moves = [
    ...scenarios.flatMap(({ name, moves }) =>
      moves.map((move) => ({ ...move, by: `\`prove ${name}\`` })),
    ),
    ...elsewhere.map((move) => ({ ...move, by: `\`${move.test.split("/").at(-1)}\`` })),
  ];
  const order = Object.keys(rows);
  const sorted = moves.toSorted(
    (left, right) => order.indexOf(left.row) - order.indexOf(right.row),
  );
  const lines = sorted.map((move) => {
    const name = `\`${nameOf(move)}\`${move.isFall ? " falls" : ""}`;
    return `| ${[move.row, move.fault, name, move.tells, move.by].join(" | ")} |`;
  });
  const without = rowsWithout(scenarios);
  const counts = new Set(sorted.map(rowOf)).size;
  const later = Object.entries(unbuilt).map(([row, why]) => {
    return `${row}, ${rows[row as Row]} (${why})`;
  });
  return [
    "| row | what happens | metric that moves | what it tells | shown by |",
    "| --- | --- | --- | --- | --- |",
    ...lines,
    "",
    `${counts} rows. Rows without a metric: ${without.length}. Not built, or not tested: ` +
      `${later.join("; ")}.`,
  ].join("\n");
}

/** The page with this table in its place. */
export async function operationsPage(
  scenarios: readonly Scenario[],
): Promise<{ readonly is: string; readonly ought: string }> {
  const is = await Bun.file(page).text();
  const [start, end] = [is.indexOf(first), is.indexOf(last)];
  if (start < 0 || end < start) throw new Error("Cannot write the faults: their place is missing");
  const table = faultTable(scenarios);
  return { is, ought: `${is.slice(0, start)}${first}\n\n${table}\n\n${is.slice(end)}` };
}

export async function writeFaults(scenarios: readonly Scenario[]): Promise<void> {
  await Bun.write(page, (await operationsPage(scenarios)).ought);
}

/** From the root of the repository. */
export function inRepository(path: string): string {
  return join(import.meta.dir, "../../..", path);
}
