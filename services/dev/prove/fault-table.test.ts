/** Whatever may happen to a cluster shows in a metric, and in the table for operators. */
import { describe, expect, test } from "bun:test";
import { elsewhere, inRepository, operationsPage, rowsWithout, unbuilt } from "./fault-table.ts";
import { rows } from "./rows.ts";
import { readScenarios } from "./scenarios.ts";

/** They inject nothing that only they inject, or have no edge that could count. */
const silent = ["hostile-codec", "model", "nemesis"];

/** Prometheus's own, of a process that does not answer: there is nobody to count. */
const processes = "up";

describe("faults", () => {
  test("rows without a metric: 0", async () => {
    expect(rowsWithout(await readScenarios())).toEqual([]);
  });

  test("each scenario moves a metric, save for those that are named here", async () => {
    const scenarios = await readScenarios();

    const without = scenarios.filter(({ moves }) => moves.length === 0);
    expect(without.map(({ name }) => name)).toEqual(silent);
  });

  test("table of the operators' page is what the scenarios declare: run with --faults", async () => {
    const { is, ought } = await operationsPage(await readScenarios());

    expect(is).toBe(ought);
  });

  test("each metric that moves is one that every node has", async () => {
    const { is } = await operationsPage([]);
    const moves = [...(await readScenarios()).flatMap((scenario) => scenario.moves), ...elsewhere];

    const unknown = moves.filter(({ metric }) => {
      const name = metric.replace(/_(count|sum|bucket)$/, "");
      const row = is
        .split("\n")
        .find((line) => line.startsWith("|") && line.includes(`\`${name}\``));
      return name !== "up" && (row === undefined || /\| later/.test(row));
    });
    expect(unknown.map(({ metric }) => metric)).toEqual([]);
  });

  test("each test that shows a fault beside the kit asks for its metric", async () => {
    for (const { test: path, metric } of elsewhere) {
      const text = await Bun.file(inRepository(path)).text();

      const isAsked = metric === processes || text.includes(`"${metric}"`);
      expect([path, isAsked]).toEqual([path, true]);
    }
  });

  test("what is built is not listed as unbuilt", async () => {
    const scenarios = await readScenarios();
    const shown = [...scenarios.flatMap(({ moves }) => moves), ...elsewhere].map(({ row }) => row);

    expect(shown.filter((row) => row in unbuilt)).toEqual([]);
    expect(Object.keys(unbuilt).filter((row) => !(row in rows))).toEqual([]);
  });
});
