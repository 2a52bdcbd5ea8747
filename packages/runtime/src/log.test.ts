/** Lines, levels, floods, and a stdout that is broken. */
import { describe, expect, test } from "bun:test";
import { openSync } from "node:fs";
import { createManualClock } from "./clock.ts";
import { createLog, createSilentLog, identicalEventsMax, type LogLevel } from "./log.ts";

function createRecordedLog(level: LogLevel = "debug") {
  const lines: string[] = [];
  const clock = createManualClock();
  const write = (line: string): void => void lines.push(line);
  const log = createLog({ service: "edge", node: "edge-1", level, write, clock });
  return { log, lines, clock, events: () => lines.map((line) => JSON.parse(line)) };
}

describe("createLog", () => {
  test("log writes one line of JSON with the fixed keys in front", () => {
    const { log, lines } = createRecordedLog();

    log.info("node_started", { port: 9000 });

    expect(lines).toHaveLength(1);
    const line: Record<string, unknown> = JSON.parse(lines[0] ?? "");
    expect(Object.keys(line).toSorted()).toEqual([
      "event",
      "level",
      "node",
      "port",
      "service",
      "time",
    ]);
    expect(line).toMatchObject({
      level: "info",
      service: "edge",
      node: "edge-1",
      event: "node_started",
      port: 9000,
    });
    expect(line["time"]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(lines[0]?.endsWith("}\n")).toBe(true);
  });

  test("log says the level as a word, and leaves out what is below its own", () => {
    const { log, events } = createRecordedLog("warn");

    log.debug("a");
    log.info("b");
    log.warn("c");
    log.error("d");

    expect(events().map(({ level, event }) => [level, event])).toEqual([
      ["warn", "c"],
      ["error", "d"],
    ]);
  });

  test("log hides secrets, in its children's fields too", () => {
    const { log, lines } = createRecordedLog();

    log.child({ token: "hush-1" }).info("a", { session: { sessionId: "hush-2" } });

    expect(lines.join("")).not.toContain("hush");
  });

  test("child says its fields with every event", () => {
    const { log, events } = createRecordedLog();

    log.child({ transport: "tcp" }).info("a", { n: 1 });

    expect(events()[0]).toMatchObject({ transport: "tcp", event: "a", n: 1 });
  });

  test("silent log takes everything and says nothing", () => {
    const log = createSilentLog();

    expect(() => log.child({}).error("a", { token: 1 })).not.toThrow();
  });
});

describe("flood of one event", () => {
  test("log writes as many as the bound in a second, and not one more", () => {
    const { log, lines } = createRecordedLog();

    for (let count = 0; count < identicalEventsMax; count += 1) log.warn("a");
    const atBound = lines.length;
    log.warn("a");

    expect(atBound).toBe(100);
    expect(lines).toHaveLength(100);
  });

  test("log says once how many it suppressed, without waiting for another event", () => {
    const { log, events, clock } = createRecordedLog();
    for (let count = 0; count < 150; count += 1) log.warn("a");

    void clock.advance(1000);
    void clock.advance(5000);

    expect(events().slice(100)).toMatchObject([{ level: "warn", event: "a", suppressed: 50 }]);
    expect(clock.waiting).toBe(0);
  });

  test("log counts each event by itself, and its children with it", () => {
    const { log, events } = createRecordedLog();
    const child = log.child({ part: "x" });
    for (let count = 0; count < 100; count += 1) log.warn("a");

    child.warn("a");
    child.warn("b");

    expect(events().slice(100)).toMatchObject([{ event: "b" }]);
  });

  test("log writes again in the next second", () => {
    const { log, events, clock } = createRecordedLog();
    for (let count = 0; count < 101; count += 1) log.warn("a");

    void clock.advance(1000);
    log.warn("a", { again: true });

    expect(events().at(-1)).toMatchObject({ event: "a", again: true });
  });
});

describe("stdout that is broken", () => {
  // A child process logs to it, goes on, and says on stderr that it is alive.
  const script = `
    import { createLog } from ${JSON.stringify(`${import.meta.dir}/log.ts`)};
    const log = createLog({ service: "edge", node: "n", level: "info" });
    for (let line = 0; line < 300; line += 1) {
      log.info("event_" + line, { text: "x".repeat(1000) });
      if (line % 30 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await log.flush();
    console.error("alive");
  `;

  test("full disk does not end the process", async () => {
    const child = Bun.spawn([process.execPath, "-e", script], {
      stdout: openSync("/dev/full", "w"),
      stderr: "pipe",
    });

    expect(await new Response(child.stderr).text()).toContain("alive");
    expect(await child.exited).toBe(0);
  });

  test("closed pipe does not end the process", async () => {
    const child = Bun.spawn(["sh", "-c", '"$0" -e "$1" | true', process.execPath, script], {
      stdout: "ignore",
      stderr: "pipe",
    });

    expect(await new Response(child.stderr).text()).toContain("alive");
  });

  test("all lines arrive on a stdout that works", async () => {
    const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "ignore" });

    const lines = (await new Response(child.stdout).text()).trim().split("\n");

    expect(lines.map((line) => JSON.parse(line).event)).toEqual(
      Array.from({ length: 300 }, (_, line) => `event_${line}`),
    );
  });
});
