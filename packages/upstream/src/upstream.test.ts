/** The kit on a real NATS, with a test in the place of the edge. */
import { afterAll, afterEach, beforeAll, describe, expect, setSystemTime, test } from "bun:test";
import { type Server, startNats } from "@holdfast/servers";
import { connect, headers as createHeaders, type NatsConnection } from "nats";
import { UpstreamFailure } from "./reply.ts";
import type { UpstreamRequest } from "./request.ts";
import { createUpstream, type UpstreamOptions } from "./upstream.ts";
import type { CommandHandler } from "./worker.ts";

let server: Server;
let edge: NatsConnection;
const faults: string[] = [];
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  server = await startNats({ config: "max_payload: 4096" });
  edge = await connect({ servers: server.url });
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  faults.length = 0;
});
afterAll(async () => {
  await edge.close();
  await server.stop();
});

describe("createUpstream", () => {
  test("handler sees the request as the client and the edge said it", async () => {
    const seen: UpstreamRequest[] = [];
    await start(async (request) => {
      seen.push(request);
      return request.body;
    });

    const reply = await ask({ body: "hello", timeoutMs: 5000 });

    expect(reply).toEqual({ status: "", code: "", message: "", body: "hello" });
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({
      ...{ command: 11, account: "konto Ä", tag: "tag", session: "sid", generation: 17e14 },
      ...{ seat: "node-1/a", requestId: 7, listener: "ws", platform: 9, version: 2 },
      ...{ language: "de-AT", metadata: { trace: "1&2" }, identity: { plan: "gold" } },
    });
    expect(seen[0]?.remainingMs()).toBeWithin(4000, 5001);
  });

  test("answer goes out although the clock was set forward meanwhile", async () => {
    let leftMs = 0;
    await start(async (request) => {
      setSystemTime(Date.now() + 300_000);
      leftMs = request.remainingMs();
      return request.body;
    });

    const reply = await ask({ body: "hello", timeoutMs: 5000 }).finally(() => setSystemTime());

    expect(reply).toMatchObject({ status: "", body: "hello" });
    expect(leftMs).toBeWithin(1, 5001);
  });

  test("answer carries status, code, message, metadata and topics", async () => {
    await start(async () => ({
      ...{ status: 3, code: 301600, message: "no such symbol: ü" },
      ...{ metadata: { a: "b=c" }, join: ["rates.eur", "rates.usd"], leave: ["news"] },
    }));

    const answer = await edge.request("hf.cmd.11", "", { timeout: 5000, headers: headersOf() });

    const told = Object.fromEntries(
      (answer.headers?.keys() ?? []).map((name) => [name, answer.headers?.get(name)]),
    );
    expect(told).toEqual({
      "Holdfast-Status": "3",
      "Holdfast-Code": "301600",
      "Holdfast-Message": "no%20such%20symbol%3A%20%C3%BC",
      "Holdfast-Metadata": "a=b%3Dc",
      "Holdfast-Join": "rates.eur,rates.usd",
      "Holdfast-Leave": "news",
    });
  });

  const failures: readonly (readonly [string, CommandHandler, object, string])[] = [
    ["throws", fails(new Error("secret")), told("7", "500", "internal error"), "handler"],
    ["throws nothing", fails(undefined), told("7", "500", "internal error"), "handler"],
    ["refuses", fails(new UpstreamFailure(6, 403, "closed")), told("6", "403", "closed"), ""],
    ["says status 300", async () => ({ status: 300 }), told("7", "500", "internal error"), "reply"],
    [
      "says too much",
      async () => new Uint8Array(5000),
      told("7", "500", "response too large"),
      "reply",
    ],
    ["joins all", async () => ({ join: ["a.>"] }), told("7", "500", "internal error"), "reply"],
    ["says nothing", async () => undefined, told("", "", ""), ""],
  ];
  test.each(failures)(
    "handler that %s is one clean answer",
    async (_name, handler, said, fault) => {
      await start(handler);

      expect(await ask({})).toEqual(said as Answer); // written with `told`
      expect(faults).toEqual(fault === "" ? [] : [fault]);
    },
  );

  test("message that no edge has sent is answered and counted, and the next one served", async () => {
    await start(async (request) => request.body);

    const bare = await edge.request("hf.cmd.11", "", { timeout: 5000 });
    const bad = await ask({ seat: "nowhere" });

    expect(bare.headers?.get("Holdfast-Status")).toBe("7");
    expect(bad.status).toBe("7");
    expect(faults).toEqual(["request", "request"]);
    expect((await ask({ body: "still" })).body).toBe("still");
  });

  test("so many run at once, so many wait, and the rest are told at once", async () => {
    const gate = Promise.withResolvers<void>();
    let most = 0;
    let running = 0;
    const limits = { concurrency: 2, waitingMax: 3 };
    await start(async () => {
      most = Math.max(most, ++running);
      await gate.promise;
      running--;
    }, limits);

    const asked = Array.from({ length: 8 }, () => ask({}));
    const refused = await Promise.race(asked);
    gate.resolve();
    const answers = await Promise.all(asked);

    expect(refused).toEqual(told("7", "503", "service unavailable"));
    expect(answers.filter(({ status }) => status === "7")).toHaveLength(3);
    expect(most).toBe(2);
    expect(faults).toEqual(["overload", "overload", "overload"]);
  });

  test("signal is raised at the deadline, and a late answer is not sent", async () => {
    const ended = Promise.withResolvers<void>();
    await start(async ({ signal }) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      ended.resolve();
    });

    const answer = ask({ timeoutMs: 50 }, 400).catch((error: Error) => error.message);

    await ended.promise;
    expect(await answer).toBe("TIMEOUT");
    expect(faults).toEqual(["late"]);
  });

  test("request that comes later than clocks may differ is not handled", async () => {
    const handled: string[] = [];
    const answers = await at(1_800_000_000_000, async (nowMs) => {
      await start(async ({ body }) => void handled.push(new TextDecoder().decode(body)), {
        clockSkewMaxMs: 250,
      });
      const deadlines = { inside: nowMs - 250, outside: nowMs - 251, none: null };
      const all = Object.entries(deadlines).map(([body, deadlineMs]) =>
        ask({ body, deadlineMs }, 300).catch((error: Error) => error.message),
      );
      return Promise.all(all);
    });

    expect(handled).toEqual(["inside", "none"]);
    expect(answers.map((one) => typeof one)).toEqual(["object", "string", "object"]);
    expect(faults).toEqual(["late"]);
  });

  test("without a word on clocks none is trusted: a request of long ago is handled", async () => {
    await start(async ({ body }) => body);

    const answer = await ask({ body: "old", deadlineMs: 1 });

    expect(answer.body).toBe("old");
  });

  test("stop finishes what is in flight, and takes nothing new", async () => {
    const gate = Promise.withResolvers<void>();
    const began = Promise.withResolvers<void>();
    const upstream = await start(async () => {
      began.resolve();
      await gate.promise;
      return new Uint8Array(3);
    });
    const asked = ask({});
    await began.promise;

    const stopped = upstream.stop();
    gate.resolve();
    await stopped;

    expect((await asked).body).toHaveLength(3);
    expect(await ask({}).catch((error: Error) => error.message)).toBe("503");
    expect(upstream.client.isClosed()).toBe(true);
  });

  test("stop gives up a handler that hangs, whose requester is told", async () => {
    let isAborted = false;
    const began = Promise.withResolvers<void>();
    const upstream = await start(
      async ({ signal }) => {
        signal.addEventListener("abort", () => {
          isAborted = true;
        });
        began.resolve();
        await new Promise(() => {});
        return undefined;
      },
      { stopTimeoutMs: 100 },
    );
    const asked = ask({});
    await began.promise;

    await Promise.all([upstream.stop(), upstream.stop()]);

    expect(await asked).toEqual(told("7", "503", "service unavailable"));
    expect(isAborted).toBe(true);
  });

  test("connection of the caller stays open, and processes of a queue share the work", async () => {
    const served = [0, 0];
    const counting = (index: number) => async () => {
      served[index]!++; // two of them
      return undefined;
    };
    const client = await connect({ servers: server.url });
    const first = await start(counting(0), { nats: client });
    await start(counting(1));

    await Promise.all(Array.from({ length: 100 }, () => ask({})));
    await first.stop();

    expect(served[0]! + served[1]!).toBe(100);
    expect(Math.min(...served)).toBeGreaterThan(0);
    expect(client.isClosed()).toBe(false);
    await client.close();
  });

  test.each([3, 256, 1.5])("command %p cannot be answered", async (command) => {
    const made = createUpstream({
      nats: { servers: server.url },
      commands: { [command]: async () => undefined },
    });

    const message = await made.then(String, (error: Error) => error.message);
    expect(message).toStartWith(`Cannot answer command ${command}`);
  });

  test.each([-1, Number.NaN])("clocks cannot differ by %p ms", async (clockSkewMaxMs) => {
    const made = createUpstream({ nats: { servers: server.url }, clockSkewMaxMs });

    expect(await made.then(String, (error: Error) => error.message)).toContain("0 or more");
  });

  test("NATS that is not there is said at once", async () => {
    const made = createUpstream({ nats: { servers: "127.0.0.1:1", reconnect: false } });

    expect(await made.then(String, (error: Error) => error.message)).toContain("REFUSED");
  });
});

interface Answer {
  readonly status: string;
  readonly code: string;
  readonly message: string;
  readonly body: string;
}

function told(status: string, code: string, message: string): Answer {
  return { status, code, message, body: "" };
}

function fails(error: unknown): CommandHandler {
  return () => Promise.reject(error);
}

async function start(handler: CommandHandler, options: Partial<UpstreamOptions> = {}) {
  const upstream = await createUpstream({
    nats: { servers: server.url },
    commands: { 11: handler },
    onFault: (fault) => void faults.push(fault),
    ...options,
  });
  stops.push(upstream.stop);
  return upstream;
}

interface Asked {
  readonly body?: string;
  readonly seat?: string;
  readonly timeoutMs?: number;
  /** Null: the header is not there. */
  readonly deadlineMs?: number | null;
}

/** By a clock that stands still. */
async function at<Result>(nowMs: number, act: (nowMs: number) => Promise<Result>) {
  setSystemTime(nowMs);
  return await act(nowMs).finally(() => setSystemTime());
}

async function ask(asked: Asked, timeout = 5000): Promise<Answer> {
  const headers = headersOf(asked);
  const answer = await edge.request("hf.cmd.11", asked.body ?? "", { timeout, headers });
  return {
    status: answer.headers?.get("Holdfast-Status") ?? "",
    code: answer.headers?.get("Holdfast-Code") ?? "",
    message: decodeURIComponent(answer.headers?.get("Holdfast-Message") ?? ""),
    body: answer.string(),
  };
}

function headersOf({ seat = "node-1/a", timeoutMs = 5000, deadlineMs = null }: Asked = {}) {
  const headers = createHeaders();
  const fields = {
    ...{ Account: "konto%20%C3%84", Tag: "tag", Session: "sid", Generation: "1700000000000000" },
    ...{ Seat: seat, Request: "7", Timeout: String(timeoutMs), Command: "11", Listener: "ws" },
    ...{ Platform: "9", Version: "2", Language: "de-AT" },
    ...{ Metadata: "trace=1%262", Identity: "plan=gold" },
  };
  for (const [name, value] of Object.entries(fields)) headers.set(`Holdfast-${name}`, value);
  if (deadlineMs !== null) headers.set("Holdfast-Deadline", String(deadlineMs));
  return headers;
}
