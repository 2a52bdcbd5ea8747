/** What operators scrape: names, values, and that the checker of Prometheus has nothing to say. */
import { afterEach, describe, expect, test } from "bun:test";
import { createManualClock } from "./clock.ts";
import { createMetrics, type Metrics } from "./metrics.ts";

const made: Metrics[] = [];
function create(options: Parameters<typeof createMetrics>[0] = {}): Metrics {
  const metrics = createMetrics({ clock: createManualClock(), ...options });
  made.push(metrics);
  return metrics;
}
afterEach(() => {
  for (const metrics of made.splice(0)) metrics.stop();
});

/** The lines of one metric, without its comments. */
async function series(metrics: Metrics, name: string): Promise<string[]> {
  const lines = (await metrics.text()).split("\n");
  return lines.filter((line) => line.startsWith(name));
}

describe("createMetrics", () => {
  test("counter counts up from zero", async () => {
    const metrics = create();
    const opened = metrics.counter({ name: "holdfast_opened_total", help: "opened" });

    const before = await series(metrics, "holdfast_opened_total");
    opened.inc();
    opened.inc(4);

    expect(before).toEqual(["holdfast_opened_total 0"]);
    expect(await series(metrics, "holdfast_opened_total")).toEqual(["holdfast_opened_total 5"]);
  });

  test("counter with labels shows a series from the moment its cell is asked for", async () => {
    const metrics = create();
    const opened = metrics.counter({ name: "holdfast_opened_total", help: "x", labels: ["by"] });

    opened.labels({ by: "tcp" });
    opened.labels({ by: "ws" }).inc(2);
    opened.labels({ by: "ws" }).inc();

    expect(await series(metrics, "holdfast_opened_total")).toEqual([
      'holdfast_opened_total{by="tcp"} 0',
      'holdfast_opened_total{by="ws"} 3',
    ]);
  });

  test("gauge is set, raised and lowered", async () => {
    const metrics = create();
    const open = metrics.gauge({ name: "holdfast_connections", help: "open", labels: ["by"] });
    const tcp = open.labels({ by: "tcp" });

    tcp.set(5);
    tcp.inc(3);
    tcp.dec();

    expect(await series(metrics, "holdfast_connections")).toEqual([
      'holdfast_connections{by="tcp"} 7',
    ]);
  });

  test("gauge that is read is asked at every collection", async () => {
    const metrics = create();
    let keys = 1;
    metrics.gauge({ name: "holdfast_keys", help: "keys", read: () => keys });

    const before = await series(metrics, "holdfast_keys");
    keys = 2;

    expect(before).toEqual(["holdfast_keys 1"]);
    expect(await series(metrics, "holdfast_keys")).toEqual(["holdfast_keys 2"]);
  });

  test("gauges with labels can be brought up to date at every collection", async () => {
    const metrics = create();
    const keys = metrics.gauge({ name: "holdfast_keys", help: "keys", labels: ["scope"] });
    metrics.onCollect(() => keys.labels({ scope: "ip" }).inc());

    await metrics.text();

    expect(await series(metrics, "holdfast_keys")).toEqual(['holdfast_keys{scope="ip"} 2']);
  });

  test("histogram sorts what it observes into its buckets", async () => {
    const metrics = create();
    const took = metrics.histogram({
      name: "holdfast_took_seconds",
      help: "took",
      buckets: [0.1, 1],
      labels: ["kind"],
    });

    took.labels({ kind: "auth" }).observe(0.1);
    took.labels({ kind: "auth" }).observe(0.2);

    expect(await series(metrics, "holdfast_took_seconds")).toEqual([
      'holdfast_took_seconds_bucket{le="0.1",kind="auth"} 1',
      'holdfast_took_seconds_bucket{le="1",kind="auth"} 2',
      'holdfast_took_seconds_bucket{le="+Inf",kind="auth"} 2',
      expect.stringMatching(/^holdfast_took_seconds_sum\{kind="auth"\} 0\.3/),
      'holdfast_took_seconds_count{kind="auth"} 2',
    ]);
  });

  test("metric without the prefix is refused", () => {
    const metrics = create();

    expect(() => metrics.counter({ name: "opened_total", help: "x" })).toThrow(
      "Cannot declare metric opened_total: its name must start with holdfast_",
    );
    expect(() => metrics.gauge({ name: "Holdfast_x", help: "x" })).toThrow("must start with");
  });

  test("metric without a help text is refused", () => {
    expect(() => create().gauge({ name: "holdfast_x", help: "" })).toThrow("it needs a help text");
  });

  test("counter whose name does not end in _total is refused", () => {
    expect(() => create().counter({ name: "holdfast_x", help: "x" })).toThrow("must end in _total");
  });

  test("metric declared twice is refused", () => {
    const metrics = create();
    metrics.gauge({ name: "holdfast_x", help: "x" });

    expect(() => metrics.gauge({ name: "holdfast_x", help: "x" })).toThrow("already");
  });

  test("metric takes as many series as its bound, and not one more", () => {
    const family = create().gauge({ name: "holdfast_x", help: "x", labels: ["n"] });
    for (let n = 0; n < 1000; n += 1) family.labels({ n: String(n) });

    expect(() => family.labels({ n: "0" })).not.toThrow();
    expect(() => family.labels({ n: "1000" })).toThrow("it has 1000 series already");
  });

  test("two registries in one process know nothing of each other", async () => {
    const [one, two] = [create(), create()];

    one.counter({ name: "holdfast_x_total", help: "x" }).inc();
    two.counter({ name: "holdfast_x_total", help: "x" });

    expect(await series(one, "holdfast_x_total")).toEqual(["holdfast_x_total 1"]);
    expect(await series(two, "holdfast_x_total")).toEqual(["holdfast_x_total 0"]);
  });

  test("build is told as a metric that is always 1", async () => {
    const metrics = create({ build: { version: "0.1.0", commit: "abc" } });

    expect(await series(metrics, "holdfast_build_info")).toEqual([
      `holdfast_build_info{version="0.1.0",commit="abc",bun="${Bun.version}"} 1`,
    ]);
  });

  test("lag of the event loop is observed every 100 ms until it is stopped", async () => {
    const clock = createManualClock();
    const metrics = create({ clock });

    void clock.advance(1000);
    metrics.stop();
    metrics.stop();
    void clock.advance(1000);

    expect(await series(metrics, "holdfast_event_loop_lag_seconds_count")).toEqual([
      "holdfast_event_loop_lag_seconds_count 10",
    ]);
  });

  test("standard metrics of the process are there, and are no dead zeros", async () => {
    const lines = await series(create(), "process_");

    expect(lines.map((line) => line.split(" ")[0])).toEqual([
      "process_cpu_seconds_total",
      "process_resident_memory_bytes",
      "process_heap_bytes",
      "process_open_fds",
      "process_max_fds",
      "process_start_time_seconds",
    ]);
    expect(lines.filter((line) => Number(line.split(" ")[1]) > 0)).toEqual(lines);
  });

  test.skipIf(Bun.which("promtool") === null)("promtool has nothing to say", async () => {
    const metrics = create();
    metrics.counter({ name: "holdfast_opened_total", help: "opened" }).inc();
    metrics.histogram({ name: "holdfast_took_seconds", help: "took", buckets: [1] }).observe(2);

    const check = Bun.spawn(["promtool", "check", "metrics"], {
      stdin: new Blob([await metrics.text()]),
      stdout: "pipe",
      stderr: "pipe",
    });

    expect(await new Response(check.stderr).text()).toBe("");
    expect(await check.exited).toBe(0);
  });
});
