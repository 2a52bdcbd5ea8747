import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { inOrder, jsonOf, type Kept, partsOf, readKept, withCatches, withReports } from "./kept.ts";
import { bugs } from "./planted/bugs.ts";
import type { Run } from "./report.ts";
import { readScenarios } from "./scenarios.ts";

const run: Run = {
  command: "bun run prove",
  size: "long",
  scale: 1,
  seed: 1,
  date: "2026-01-01",
  versions: "Bun",
  machine: "2 cores",
};
const nothing: Kept = { scenarios: [], planted: [] };

function outcome(scenario: string, tookMs: number) {
  return { scenario, findings: [], tookMs };
}

describe("results that are kept", () => {
  test("a later run of a scenario takes the place of an older one, others stay", () => {
    const first = { run, outcomes: [outcome("a", 1), outcome("b", 2)] };
    const second = { run: { ...run, seed: 2 }, outcomes: [outcome("a", 3)] };

    const { scenarios } = withReports(nothing, [first, second]);

    const told = scenarios.map((one) => [one.outcome.scenario, one.outcome.tookMs, one.run.seed]);
    expect(told).toEqual([
      ["a", 3, 2],
      ["b", 2, 1],
    ]);
  });

  test("of a hunt it is kept what turned red, and how many stayed green if others ran", () => {
    const [bug] = bugs;
    const broken = { promise: 1, what: "w", bound: "0", measured: "1", isHeld: false } as const;
    const [red, ...missed] = bug!.reds; // there are bugs, and each breaks something
    const outcomes = [{ ...outcome(red!, 1), findings: [broken] }];
    const others = [...outcomes, ...bug!.reds.map((name) => outcome(`not ${name}`, 1))];

    const hunted = (ran: typeof outcomes) =>
      withCatches(nothing, run, [{ bug: bug!, outcomes: ran, missed, stray: [] }]).planted[0]
        ?.found;

    expect(hunted(outcomes)).toMatchObject({ bug: bug!.name, red: [red!], green: null, missed });
    expect(hunted(others)).toMatchObject({ red: [red!], green: bug!.reds.length });
  });

  test("a curve and a fault have a line each, and what is written is what is read", () => {
    const faults = [{ atMs: 12, what: "edge-1: SIGKILL" }];
    const nodes = [{ node: "edge-1", everyMs: 500, residentMiB: [1, 22], descriptors: [3, 4] }];
    const none = { tokensUsed: 0, resumed: 0, closes: {}, overlapsMs: null, gapsMs: null };
    const course = { ...none, connections: 1, faults, nodes };
    const kept = withReports(nothing, [{ run, outcomes: [{ ...outcome("a", 1), course }] }]);

    const text = jsonOf(kept);

    expect(JSON.parse(text)).toEqual(kept);
    expect(text).toContain('{ "atMs": 12, "what": "edge-1: SIGKILL" }');
    expect(text).toMatch(/"residentMiB": \[ ?1, 22 ?\],\n/);
  });

  test("docs/proof.md shows what docs/proof.json keeps, and nothing else", async () => {
    const known = { scenarios: await readScenarios(), bugs: bugs.map(({ name }) => name) };
    const kept = await readKept();
    const paper = await Bun.file(join(import.meta.dir, "../../../docs/proof.md")).text();

    expect(inOrder(kept, known)).toEqual(kept);
    const { results, planted } = partsOf(kept, known);
    expect(paper).toContain(results);
    expect(paper).toContain(planted);
  });
});
