/**
 * Requests to upstreams over a real NATS server: where they go, what they say, and what their
 * clients get when nobody answers. The upstreams are raw NATS clients.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { encode, type Packet } from "@holdfast/protocol";
import { until } from "../support/arrivals.ts";
import { type Rig, startRig, subscribe } from "../support/nats-rig.ts";
import { bytesOf, expectError, noise, nothing, request, settle } from "../support/packets.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig.stop());

const requests = "holdfast_requests_total";
const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString();

describe("requests over NATS", () => {
  test("request reaches its upstream with what the contract promises, and is answered", async () => {
    await using edge = await rig.edge();
    const wire = await edge.login("tcp", "Jürgen & Söhne");
    using upstream = await rig.upstream("hf.cmd.11", (message) => message.respond(message.data));

    const answer = await wire.request(11, bytesOf("body"), { timeoutMs: 5000 });

    const { headers } = await upstream.next();
    const told = Object.fromEntries([...(headers ?? [])].map(([name, [value]]) => [name, value]));
    expect([answer.status, textOf(answer.body)]).toEqual([0, "body"]);
    expect(told).toEqual({
      "Holdfast-Account": "J%C3%BCrgen%20%26%20S%C3%B6hne",
      "Holdfast-Command": "11",
      "Holdfast-Deadline": expect.stringMatching(/^\d{13}$/),
      "Holdfast-Generation": expect.stringMatching(/^\d+$/),
      "Holdfast-Listener": "tcp",
      "Holdfast-Platform": "9",
      "Holdfast-Request": expect.stringMatching(/^\d+$/),
      "Holdfast-Seat": expect.stringMatching(/^test-[0-9a-f]{12}\/[0-9a-z]+$/),
      "Holdfast-Session": expect.any(String),
      "Holdfast-Tag": expect.any(String),
      "Holdfast-Timeout": "5000",
      "Holdfast-Version": "1",
    });
    expect(Math.abs(Number(told["Holdfast-Deadline"]) - Date.now() - 5000)).toBeLessThan(2000);
    await edge.counted(requests, { route: "default", outcome: "ok" }, 1);
  });

  test("metadata of a packet goes to the upstream and back", async () => {
    await using edge = await rig.edge();
    const wire = await edge.login("ws", "two", { version: 2 });
    using upstream = await rig.upstream("hf.cmd.11", () => {});
    const packet: Packet = {
      ...{ type: "request", command: 11, requestId: 9, timeoutMs: 0, gzip: false },
      ...{ metadata: { "a b": "ü&=", c: "" }, body: nothing, verification: null },
    };
    wire.sendBytes(encode(packet, 2));
    const message = await upstream.next();

    message.respond(nothing, { headers: message.headers! }); // it has been sent with headers

    expect(message.headers?.get("Holdfast-Metadata")).toBe("a%20b=%C3%BC%26%3D&c=");
    expect({ ...(await wire.next()).metadata }).toEqual({ "a b": "ü&=", c: "" });
  });

  test("session that changed hands is told with its new seat", async () => {
    await using edge = await rig.edge();
    using upstream = await rig.upstream("hf.cmd.11", (message) => message.respond());
    const seats: (string | undefined)[] = [];

    for (const transport of ["tcp", "ws"] as const) {
      const wire = await edge.login(transport, "mover");
      await wire.request(11, nothing);
      await wire.request(11, nothing);
      const [first, second] = [await upstream.next(), await upstream.next()];
      seats.push(first.headers?.get("Holdfast-Seat"));
      expect(second.headers?.get("Holdfast-Seat")).toBe(seats.at(-1)!); // just pushed
      expect(first.headers?.get("Holdfast-Listener")).toBe(transport);
    }

    expect(seats[0]).not.toBe(seats[1]);
  });

  test("request that nobody is there to answer gets 7 / 503 quickly", async () => {
    await using edge = await rig.edge();
    const wire = await edge.login("ws");
    await settle(wire);
    const startedMs = performance.now(); // [B5]

    expectError(await wire.request(12, nothing), "serviceUnavailable");

    expect(performance.now() - startedMs).toBeLessThan(500);
    await edge.counted(requests, { outcome: "no_responder" }, 1);
    await edge.counted("holdfast_upstream_faults_total", { fault: "unavailable" }, 1);
  });

  test("slow upstream is answered for at the request's own timeout, and its reply dropped", async () => {
    await using edge = await rig.edge();
    const wire = await edge.login("tcp");
    using upstream = await rig.upstream("hf.cmd.13", () => {});
    const startedMs = performance.now(); // [D11]
    wire.sendBytes(request(13, 5, nothing, 200));
    const message = await upstream.next();

    expectError(await wire.next(), "serverTimeout");

    const tookMs = performance.now() - startedMs;
    expect([tookMs > 180, tookMs < 700]).toEqual([true, true]);
    message.respond(bytesOf("late"));
    await edge.counted("holdfast_upstream_replies_dropped_total", { reason: "late" }, 1);
    await settle(wire);
    await edge.counted(requests, { outcome: "timeout" }, 1);
  });

  test("second answer to a request is dropped and counted", async () => {
    await using edge = await rig.edge();
    const wire = await edge.login("ws");
    using _upstream = await rig.upstream("hf.cmd.14", (message) => {
      message.respond(bytesOf("one"));
      message.respond(bytesOf("two"));
    });

    const answer = await wire.request(14, nothing);

    expect(textOf(answer.body)).toBe("one");
    await edge.counted("holdfast_upstream_replies_dropped_total", { reason: "duplicate" }, 1);
    await settle(wire);
  });

  test("answer to nothing that was asked is dropped and counted", async () => {
    await using edge = await rig.edge();

    for (const token of ["0", "99", "x", "1e0", "-1"]) {
      rig.client.publish(`_INBOX.${edge.nodeId}.${token}`);
    }

    await edge.counted("holdfast_upstream_replies_dropped_total", { reason: "unknown" }, 5);
  });

  test("answer for a connection that has gone is dropped and counted", async () => {
    await using edge = await rig.edge();
    const wire = await edge.login("tcp");
    using upstream = await rig.upstream("hf.cmd.15", () => {});
    wire.sendBytes(request(15, 1));
    const message = await upstream.next();
    wire.reset();
    await edge.counted(requests, { outcome: "cancelled" }, 1);

    message.respond();

    await edge.counted("holdfast_upstream_replies_dropped_total", { reason: "late" }, 1);
  });

  test("queue group spreads requests over its members, one to each", async () => {
    await using edge = await rig.edge();
    const wire = await edge.login("tcp");
    const counts = [0, 0];
    const member = (index: 0 | 1) =>
      rig.upstream(
        "hf.cmd.16",
        (message) => {
          counts[index]!++; // index is 0 or 1
          message.respond();
        },
        { queue: "workers" },
      );
    using _one = await member(0);
    using _two = await member(1);

    for (let index = 0; index < 100; index++) await wire.request(16, nothing);

    expect(counts[0]! + counts[1]!).toBe(100);
    expect(Math.min(...counts)).toBeGreaterThan(10);
  });
});

describe("routes over NATS", () => {
  const routes = {
    prefixes: { ws: "web" },
    routes: [
      { name: "go", commands: ["20"], platform: [9], subject: "go.cmd" },
      { name: "quick", commands: ["21"], timeoutMs: 100 },
      { name: "plain", commands: ["20"] },
    ],
  };

  test("command goes where its listener and its platform say", async () => {
    await using edge = await rig.edge({ routes });
    using _all = await rig.upstream("*.cmd.20", (one) => one.respond(bytesOf(one.subject)));

    const subjects: string[] = [];
    for (const transport of ["tcp", "ws"] as const) {
      for (const platform of [1, 9]) {
        const wire = await edge.login(transport, `p${platform}`, { platform });
        subjects.push(textOf((await wire.request(20, nothing)).body));
      }
    }

    expect(subjects).toEqual(["hf.cmd.20", "go.cmd.20", "web.cmd.20", "go.cmd.20"]);
    await edge.counted(requests, { route: "go", outcome: "ok" }, 2);
  });

  test("command without a route is answered 3 / 404, and asks nobody", async () => {
    await using edge = await rig.edge({ routes });
    const wire = await edge.login("tcp");
    using _all = await rig.upstream(">", (one) => void (one.reply && one.respond()));

    expectError(await wire.request(22, nothing), "unknownCommand");

    await edge.counted(requests, { route: "other", outcome: "no_responder" }, 1);
  });

  test("timeout of a route is the most a request gets, and what it gets if it states none", async () => {
    await using edge = await rig.edge({ routes });
    const wire = await edge.login("tcp");
    using upstream = await rig.upstream("hf.cmd.21", () => {});

    for (const timeoutMs of [0, 5000]) {
      expectError(await wire.request(21, nothing, { timeoutMs }), "serverTimeout");
      expect((await upstream.next()).headers?.get("Holdfast-Timeout")).toBe("100");
    }
  });
});

describe("NATS that goes away", () => {
  test("request under way gets 7 / 503 at once, as do those that follow, until it is back", async () => {
    const own = await startRig();
    await using edge = await own.edge();
    const wire = await edge.login("tcp");
    using silent = await own.upstream("hf.cmd.30", () => {});
    using _echo = await own.upstream("hf.cmd.31", (message) => message.respond(message.data));
    wire.sendBytes(request(30, 77, nothing, 30_000));
    await silent.next();
    const startedMs = performance.now(); // [B4]

    own.server.signal("SIGKILL");

    expect(await wire.next()).toMatchObject({ requestId: 77, status: 7 });
    expectError(await wire.request(31, nothing), "serviceUnavailable");
    expect(performance.now() - startedMs).toBeLessThan(1000);
    await own.server.restart();
    await until(
      async () => (await wire.request(31, bytesOf("x"))).status === 0,
      "it answers again",
    );
    await own.stop();
  });

  test("NATS that stands still answers by 7 / 503 within the second, until it goes on", async () => {
    const own = await startRig();
    await using edge = await own.edge();
    const wire = await edge.login("tcp");
    using silent = await own.upstream("hf.cmd.30", () => {});
    using _echo = await own.upstream("hf.cmd.31", (message) => message.respond(message.data));
    wire.sendBytes(request(30, 77, nothing, 30_000));
    await silent.next();

    own.server.signal("SIGSTOP");
    const startedMs = performance.now(); // [B4]
    wire.sendBytes(request(30, 78, nothing, 30_000)); // taken: nobody can know yet
    const answers = [await wire.next(), await wire.next()];
    const answeredMs = performance.now();
    expectError(await wire.request(31, nothing), "serviceUnavailable");
    const refusedMs = performance.now();

    expect(answers.map((answer) => "status" in answer && answer.status)).toEqual([7, 7]);
    expect(answeredMs - startedMs).toBeLessThan(2000); // 0.9 s where there is nobody else
    expect(refusedMs - answeredMs).toBeLessThan(500);
    own.server.signal("SIGCONT");
    const goneOnMs = performance.now();
    await until(
      async () => (await wire.request(31, bytesOf("x"))).status === 0,
      "it answers again",
    );
    expect(performance.now() - goneOnMs).toBeLessThan(3000);
    await own.stop();
  });

  test("NATS that stands still is given no more than its bound, all get 7 / 503", async () => {
    const own = await startRig();
    await using edge = await own.edge({
      settings: {
        ...{ EDGE_REQUEST_RATE: 0, EDGE_ACCOUNT_REQUEST_RATE: 0 },
        EDGE_IN_FLIGHT_MAX: 9000,
      },
    });
    const wire = await edge.login("tcp"); // [M8]
    const count = 8500; // 500 bytes of headers each
    await settle(wire);
    const before = edge.link.client.stats().outBytes;

    own.server.signal("SIGSTOP");
    const statuses = new Map<number, number>();
    for (let id = 0; id < count; id++) wire.sendBytes(request(33, id + 100, noise(900), 30_000));
    for (let id = 0; id < count; id++) {
      const answer = await wire.next(10_000);
      const status = "status" in answer ? answer.status : -1;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    own.server.signal("SIGCONT");

    expect([...statuses]).toEqual([[7, count]]);
    expect(edge.link.client.stats().outBytes - before).toBeLessThan(5 * 1024 * 1024);
    await own.stop();
  });

  test("nothing that was asked while NATS was away is asked later", async () => {
    const own = await startRig();
    await using edge = await own.edge();
    const wire = await edge.login("ws");
    own.server.signal("SIGKILL");
    await until(() => !edge.link.isConnected(), "the link has noticed"); // [M8]
    for (let index = 0; index < 50; index++) {
      expectError(await wire.request(32, nothing), "serviceUnavailable");
    }

    const bodies: string[] = [];
    await own.server.restart();
    const another = await own.connectRaw();
    using _upstream = await subscribe(another, "hf.cmd.32", (message) => {
      bodies.push(textOf(message.data));
      message.respond();
    });
    await until(async () => (await wire.request(32, bytesOf("new"))).status === 0, "it answers");

    expect(bodies).toEqual(["new"]);
    await another.close();
    await own.stop();
  });
});
