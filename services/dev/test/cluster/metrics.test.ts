/** A real Prometheus scrapes three edge processes, and promtool reads what one of them says. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startPrometheus } from "../../../../deploy/test/prometheus.ts";
import { present, startTestCluster, type TestCluster } from "../support.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster();
}, 60_000);
afterAll(() => cluster.stop());

async function textOf(admin: string): Promise<string> {
  return (await fetch(`${admin}/metrics`)).text();
}

describe("/metrics", () => {
  test("Prometheus sees three edges up, and what they count", async () => {
    const targets = cluster.description.edges.map(({ admin }) => new URL(admin).host);
    await using prometheus = await startPrometheus(targets);
    const { wire } = await present(cluster.urls[0] ?? "", await cluster.issue("watched"));

    await prometheus.scraped();

    expect(await prometheus.query("up")).toEqual(new Map(targets.map((target) => [target, 1])));
    const ready = await prometheus.query('sum(holdfast_connections{state="ready"})');
    expect([...ready.values()]).toEqual([1]);
    wire.reset();
  }, 60_000);

  test("promtool has nothing to say about what a used node tells", async () => {
    const token = await cluster.issue("used");
    const attempts = await Promise.all([
      present(cluster.urls[0] ?? "", token),
      present(cluster.urls[1] ?? "", token),
    ]);
    const text = await textOf(cluster.description.edges[0]?.admin ?? "");
    const promtool = Bun.spawn(["promtool", "check", "metrics"], {
      stdin: new TextEncoder().encode(text),
      stdout: "pipe",
      stderr: "pipe",
    });
    const said = await new Response(promtool.stderr).text();

    expect(said).toBe("");
    expect(await promtool.exited).toBe(0);
    for (const { wire } of attempts) wire.reset();
  }, 30_000);

  test("no account, token, session id or address is told", async () => {
    const token = await cluster.issue("secretive-account");
    const { wire, login } = await present(cluster.urls[0] ?? "", token);
    const texts = await Promise.all(cluster.description.edges.map(({ admin }) => textOf(admin)));

    for (const text of texts) {
      expect(text).not.toContain("secretive-account");
      for (const part of [...token.split("."), ...(login?.sessionId.split(".") ?? [])]) {
        expect(text).not.toContain(part);
      }
      expect(text).not.toMatch(/127\.0\.0\.1/);
    }
    wire.reset();
  }, 30_000);
});
