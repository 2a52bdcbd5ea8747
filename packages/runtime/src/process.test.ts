/** The order of starts and stops, and every way a process ends; the last ones in a real process. */
import { describe, expect, test } from "bun:test";
import { createSilentLog, type Log } from "./log.ts";
import {
  type Part,
  type ProcessHost,
  type RunOptions,
  runService,
  type StopSignal,
} from "./process.ts";

/** A process made of variables: signals come when the test says so. */
function createFakeHost() {
  const exits: number[] = [];
  const deadlines = new Map<number, () => void>();
  let deliverSignal: (signal: StopSignal) => void = () => {};
  let deliverFault: (error: unknown) => void = () => {};
  const host: ProcessHost = {
    onSignal: (deliver) => {
      deliverSignal = deliver;
    },
    onFault: (deliver) => {
      deliverFault = deliver;
    },
    exit: (code) => exits.push(code),
    after: (delayMs, fire) => {
      deadlines.set(delayMs, fire);
      return () => deadlines.delete(delayMs);
    },
  };
  return {
    host,
    exits,
    deadlines,
    signal: (signal: StopSignal) => deliverSignal(signal),
    fault: (error: unknown) => deliverFault(error),
    pass: (delayMs: number) => deadlines.get(delayMs)?.(),
  };
}

function createRecorder() {
  const seen: string[] = [];
  const log: Log = {
    ...createSilentLog(),
    info: (event) => seen.push(event),
    error: (event, fields) => seen.push(`${event}: ${fields?.["part"]}: ${fields?.["reason"]}`),
  };
  const part = (name: string, how: Partial<Part> = {}): Part => ({
    name,
    async start() {
      seen.push(`start ${name}`);
      await how.start?.();
    },
    async stop() {
      seen.push(`stop ${name}`);
      await how.stop?.();
    },
  });
  return { seen, log, part };
}

function run(options: Partial<RunOptions> & Pick<RunOptions, "parts" | "log">) {
  const fake = createFakeHost();
  const service = runService({ deadlineMs: 25_000, ...options, host: fake.host });
  return { ...fake, service };
}

const never = (): Promise<void> => new Promise(() => {});
const fail = async (): Promise<void> => {
  throw new Error("port is taken");
};
/** Lets what is ready run on; nothing in these tests waits for time. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("runService", () => {
  test("parts start in order, and stop in reverse after the drain", async () => {
    const { seen, log, part } = createRecorder();
    const drain = async (): Promise<void> => void seen.push("drain");
    const { service, signal, exits } = run({ log, parts: [part("a"), part("b")], drain });
    await settled();

    signal("SIGTERM");

    expect(await service.finished).toBe(0);
    expect(exits).toEqual([0]);
    expect(seen).toEqual([
      "start a",
      "start b",
      "started",
      "stopping",
      "drain",
      "stop b",
      "stop a",
      "stopped",
    ]);
  });

  test("service can be stopped by itself, as by a signal", async () => {
    const { seen, log, part } = createRecorder();
    const { service } = run({ log, parts: [part("a")] });
    await settled();

    service.stop("an operator asked");
    service.stop("and again");

    expect(await service.finished).toBe(0);
    expect(seen.filter((event) => event === "stopping")).toHaveLength(1);
  });

  test("part that fails to start is named in one line, and what started is stopped", async () => {
    const { seen, log, part } = createRecorder();
    const parts = [part("a"), part("b", { start: fail }), part("c")];

    const { service } = run({ log, parts, drain: never });

    expect(await service.finished).toBe(1);
    expect(seen).toEqual([
      "start a",
      "start b",
      "start_failed: b: port is taken",
      "stopping",
      "stop b",
      "stop a",
      "stopped",
    ]);
  });

  test("part that fails to stop does not keep the others from it", async () => {
    const { seen, log, part } = createRecorder();
    const { service, signal } = run({ log, parts: [part("a"), part("b", { stop: fail })] });
    await settled();

    signal("SIGINT");

    expect(await service.finished).toBe(1);
    expect(seen.slice(3)).toEqual([
      "stopping",
      "stop b",
      "stop_failed: b: port is taken",
      "stop a",
      "stopped",
    ]);
  });

  test("signal during the start waits for the part at hand, starts no other, drains nothing", async () => {
    const { seen, log, part } = createRecorder();
    const { promise, resolve } = Promise.withResolvers<void>();
    const parts = [part("a", { start: () => promise }), part("b")];
    const { service, signal } = run({ log, parts, drain: fail });

    signal("SIGTERM");
    resolve();

    expect(await service.finished).toBe(0);
    expect(seen).toEqual(["start a", "stopping", "stop a", "stopped"]);
  });

  test("deadline ends a stop that hangs, and names the part", async () => {
    const { seen, log, part } = createRecorder();
    const { service, signal, pass } = run({ log, parts: [part("a", { stop: never })] });
    await settled();

    signal("SIGTERM");
    await settled();
    pass(25_000);

    expect(await service.finished).toBe(1);
    expect(seen.at(-1)).toBe("stop_failed: a: not within 25000 ms");
  });

  test("deadline counts the drain", async () => {
    const { seen, log, part } = createRecorder();
    const { service, signal, pass } = run({ log, parts: [part("a")], drain: never });
    await settled();

    signal("SIGTERM");
    await settled();
    pass(25_000);

    expect(await service.finished).toBe(1);
    expect(seen.at(-1)).toBe("stop_failed: drain: not within 25000 ms");
  });

  test("start that hangs is ended by its own deadline", async () => {
    const { seen, log, part } = createRecorder();
    const parts = [part("redis", { start: never })];
    const { service, pass } = run({ log, parts, startDeadlineMs: 10_000 });

    pass(10_000);

    expect(await service.finished).toBe(1);
    expect(seen.at(-1)).toBe("start_failed: redis: not within 10000 ms");
  });

  test("deadline of the start is called off once everything has started", async () => {
    const { log, part } = createRecorder();
    const { deadlines } = run({ log, parts: [part("a")], startDeadlineMs: 10_000 });

    await settled();

    expect(deadlines.size).toBe(0);
  });

  test.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ] as const)("second signal %s ends the process at once with %i", async (second, code) => {
    const { log, part } = createRecorder();
    const { service, signal, exits } = run({ log, parts: [part("a", { stop: never })] });
    await settled();

    signal("SIGTERM");
    signal(second);

    expect(await service.finished).toBe(code);
    expect(exits).toEqual([code]);
  });

  test("exception that nobody caught ends the process with 1", async () => {
    const { seen, log, part } = createRecorder();
    const { service, fault } = run({ log, parts: [part("a")] });
    await settled();

    fault(new Error("a bug"));

    expect(await service.finished).toBe(1);
    expect(seen.at(-1)).toStartWith("process_failed");
  });
});

describe("runService in a process", () => {
  const script = (body: string): string => `
    import { runService } from ${JSON.stringify(`${import.meta.dir}/process.ts`)};
    import { createLog } from ${JSON.stringify(`${import.meta.dir}/log.ts`)};
    const log = createLog({ service: "edge", node: "n", level: "info" });
    const idle = setInterval(() => {}, 1000);
    const part = { name: "a", start: async () => {}, stop: async () => {} };
    ${body}
  `;

  async function runUntilStarted(body: string) {
    const child = Bun.spawn([process.execPath, "-e", script(body)], {
      stdout: "pipe",
      stderr: "ignore",
    });
    const decoder = new TextDecoder();
    const reader = child.stdout.getReader();
    let lines = "";
    while (!lines.includes('"started"')) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`Process ended before it started: ${lines}`);
      lines += decoder.decode(value);
    }
    return child;
  }

  test("SIGTERM stops it with 0", async () => {
    const child = await runUntilStarted("runService({ log, parts: [part], deadlineMs: 5000 });");

    child.kill("SIGTERM");

    expect(await child.exited).toBe(0);
  });

  test("second SIGINT ends it with 130 while a part hangs", async () => {
    const child = await runUntilStarted(`
      part.stop = () => { process.kill(process.pid, "SIGINT"); return new Promise(() => {}); };
      runService({ log, parts: [part], deadlineMs: 5000 });
    `);

    child.kill("SIGTERM");

    expect(await child.exited).toBe(130);
  });

  test("deadline ends it with 1", async () => {
    const child = await runUntilStarted(`
      part.stop = () => new Promise(() => {});
      runService({ log, parts: [part], deadlineMs: 50 });
    `);

    child.kill("SIGTERM");

    expect(await child.exited).toBe(1);
  });

  test.each([
    ["rejection", "Promise.reject(new Error('lost'))"],
    ["exception", "queueMicrotask(() => { throw new Error('lost'); })"],
  ])("%s that nobody handles ends it with 1", async (_, fault) => {
    const child = await runUntilStarted(`
      process.once("SIGUSR2", () => { ${fault}; });
      runService({ log, parts: [part], deadlineMs: 5000 });
    `);

    child.kill("SIGUSR2");

    expect(await child.exited).toBe(1);
  });
});
