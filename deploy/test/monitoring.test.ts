/** What Prometheus is told: its configuration, its alerts, and the metrics they rest on. */
import { describe, expect, test } from "bun:test";
import { readText, readYaml, run } from "./run.ts";

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
}

const rulesFile = (await readYaml("deploy/monitoring/rules.yml")) as {
  readonly groups: readonly { readonly rules: readonly Rule[] }[];
}; // promtool looks closer
const rules = rulesFile.groups.flatMap((group) => group.rules);

describe("prometheus.yml", () => {
  test("Prometheus takes the configuration, and the rules it names", () => {
    const checked = run(["promtool", "check", "config", "deploy/monitoring/prometheus.yml"]);

    expect(checked.stdout + checked.stderr).toContain(`${rules.length} rules found`);
    expect(checked.status).toBe(0);
  });

  test("every edge of the compose file and the token service are scraped", async () => {
    const text = await readText("deploy/monitoring/prometheus.yml");

    for (const target of ["edge-1:9090", "edge-2:9090", "edge-3:9090", "token:9091"]) {
      expect(text).toContain(`"${target}"`);
    }
  });
});

describe("rules.yml", () => {
  test("alerts fire when they are meant to, and keep still when not", () => {
    const tested = run(["promtool", "test", "rules", "deploy/monitoring/rules_test.yml"]);

    expect(tested.stdout + tested.stderr).toContain("SUCCESS");
    expect(tested.status).toBe(0);
  });

  test("an alert rests only on metrics that are there now", async () => {
    const listed = (await readText("docs/operations.md"))
      .split("\n")
      .filter((line) => line.startsWith("|") && !/\|\s*later\s*\|$/.test(line));
    const known = new Set(listed.join("\n").match(/\b(holdfast|process)_[a-z_]+/g));
    const used = rules.flatMap(({ expr }) => expr.match(/\b(holdfast|process)_[a-z_]+/g) ?? []);
    const base = used.map((name) => name.replace(/_(bucket|count|sum)$/, ""));

    expect(base.length).toBeGreaterThan(10);
    expect(base.filter((name) => !known.has(name))).toEqual([]);
  });

  test("every alert says whether it pages, and the runbook says what it means", async () => {
    const runbook = await readText("deploy/README.md");

    for (const { alert, labels } of rules) {
      expect(["page", "ticket"]).toContain(labels["severity"] ?? "");
      expect(runbook).toContain(`### ${alert}\n`);
    }
  });
});
