/**
 * Upstreams behind a real cluster: one made with the kit, and one in Python that was written from
 * docs/upstreams.md alone.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Wire } from "@holdfast/client/wire";
import { decodeErrorBody } from "@holdfast/protocol";
import {
  createUpstream,
  type Notice,
  type Upstream,
  UpstreamFailure,
  type UpstreamRequest,
} from "@holdfast/upstream";
import { until } from "../../prove/ground.ts";
import { present, resume, startTestCluster, type TestCluster } from "../support.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster({
    ...{ EDGE_ECHO_COMMANDS: "200", EDGE_RENEW_INTERVAL_MS: "300" },
    ...{ EDGE_FIRST_LEASE_MS: "1000", EDGE_LEASE_MS: "1500" },
  });
}, 60_000);
afterAll(() => cluster.stop());

describe("upstream made with the kit", () => {
  let upstream: Upstream;
  const requests: UpstreamRequest[] = [];
  const notices: Notice[] = [];
  const faults: string[] = [];

  beforeAll(async () => {
    upstream = await createUpstream({
      nats: { servers: cluster.nats.url },
      commands: {
        11: async (request) => {
          requests.push(request);
          return request.body;
        },
        12: async ({ body }) => ({ join: [textOf(body)] }),
        13: async () => {
          throw new UpstreamFailure(3, 301600, "no such symbol");
        },
        14: async () => {
          throw new Error("a secret detail");
        },
      },
      onFault: (fault) => void faults.push(fault),
    });
    for (const kind of ["opened", "resumed", "closed", "lapsed"] as const) {
      upstream.events.on(kind, (notice) => void notices.push(notice));
    }
    await upstream.client.flush();
  });
  afterAll(() => upstream.stop());

  test("request is answered, and says whose it is", async () => {
    const wire = await open("kit ä", 0);

    const answer = await wire.request(11, bytesOf("hello"));

    expect(textOf(answer.body)).toBe("hello");
    expect(requests.at(-1)).toMatchObject({ account: "kit ä", command: 11, listener: "tcp" });
  });

  test("failure of choice keeps its code, any other shows no detail", async () => {
    const wire = await open("fails", 0);

    const chosen = await wire.request(13, bytesOf(""));
    const broken = await wire.request(14, bytesOf(""));

    expect(chosen.status).toBe(3);
    expect(decodeErrorBody(chosen.body)).toEqual({ code: 301600, message: "no such symbol" });
    expect(broken.status).toBe(7);
    expect(decodeErrorBody(broken.body)).toEqual({ code: 500, message: "internal error" });
    expect(faults).toEqual(["handler"]);
  });

  test("topic reaches its members on all nodes, and a seat its connection alone", async () => {
    const wires = [await open("one", 0), await open("two", 2), await open("three", 4)];
    for (const wire of wires) await wire.request(12, bytesOf("kit.news"));
    await wires[0]!.request(11, bytesOf("")); // says its seat
    const seat = requests.at(-1)?.seat ?? "";
    await until("all three are heard", async () => {
      const { written } = await upstream.push.toTopic("kit.news", { command: 49 });
      return written === 3;
    });

    expect(upstream.send.toTopic("kit.news", { command: 50, body: bytesOf("all") })).toBe(true);
    const one = await upstream.push.toSeat(seat, { command: 50, body: bytesOf("one") });

    expect(one).toMatchObject({ outcome: "written", written: 1 });
    for (const wire of wires) expect(await nextText(wire)).toBe("all");
    expect(await nextText(wires[0]!)).toBe("one");
  });

  test("topics are joined and left from outside, and nobody there is an outcome", async () => {
    const wire = await open("outside", 2);
    await wire.request(11, bytesOf(""));
    const seat = requests.at(-1)?.seat ?? "";

    const joined = await upstream.topics.join(seat, ["kit.a", "kit.b"]);
    const left = await upstream.topics.leave(seat, ["kit.a"]);
    const nobody = await upstream.push.toTopic("kit.nobody", { command: 50 });
    const gone = await upstream.push.toSeat("gone-1/1", { command: 50 });

    expect(joined).toMatchObject({ outcome: "joined", joined: 2 });
    expect(left).toMatchObject({ outcome: "left", left: 1 });
    expect(nobody).toMatchObject({ outcome: "no-connection", written: 0 });
    expect(gone).toMatchObject({ outcome: "no-connection", written: 0 });
  });

  test("account is reached wherever it is connected", async () => {
    const wires = [await open("many", 0), await open("many", 2), await open("many", 5)];

    const result = await upstream.push.toAccount("many", { command: 50, body: bytesOf("you") });
    const away = await upstream.push.toAccount("nobody", { command: 50 });

    expect(result).toMatchObject({ outcome: "written", written: 3, noConnection: 0 });
    for (const wire of wires) expect(await nextText(wire)).toBe("you");
    expect(away).toMatchObject({ outcome: "no-connection", written: 0 });
  });

  test("events tell a session's life in order, and what is old is marked", async () => {
    const first = await present(cluster.urls[0]!, await cluster.issue("alive"));
    const second = await resume(cluster.urls[2]!, first.login?.sessionId ?? "");
    second.wire.reset();
    const ofSession = () => notices.filter(({ account }) => account === "alive");
    await until("four notices", () => ofSession().length === 4);

    const fresh = ofSession().filter(({ isStale }) => !isStale);
    expect(fresh.map(({ kind }) => kind)).toEqual(["opened", "resumed", "closed"]);
    const generations = fresh.map(({ generation }) => generation);
    expect(generations[1]).toBeGreaterThan(generations[0] ?? 0);
    expect(generations[2]).toBe(generations[1] ?? 0);
    const stale = ofSession().find(({ isStale }) => isStale);
    expect(stale).toMatchObject({ kind: "closed", generation: generations[0] });
    first.wire.reset();
  });
});

describe("node that dies", () => {
  test("seats it had are told as lapsed, though nobody logs in again", async () => {
    const lapsed: Notice[] = [];
    const upstream = await createUpstream({ nats: { servers: cluster.nats.url } });
    upstream.events.on("lapsed", (notice) => void lapsed.push(notice));
    await upstream.client.flush();
    await open("stays", 0);
    await open("orphan", 2);
    // A node killed in the very moment of an answer may not have written down whose it was.
    await Bun.sleep(100);

    cluster.edges[1]!.child.signal("SIGKILL"); // there are three
    const isTold = () => lapsed.some(({ account }) => account === "orphan");
    await until("the lapse is told", isTold, 40_000); // a lease of the observers comes first

    expect(lapsed.some(({ account }) => account === "stays")).toBe(false);
    const seat = lapsed.find(({ account }) => account === "orphan")?.seat;
    expect(seat).toStartWith("edge-2-");
    await upstream.stop();
    await cluster.edges[1]!.start();
  }, 60_000);
});

describe("upstream in Python", () => {
  test("it answers, joins a topic, pushes to it and to the seat, and hears events", async () => {
    const { host, port } = cluster.nats;
    const script = join(import.meta.dir, "../../../../packages/upstream/test/upstream.py");
    const python = Bun.spawn(["python3", script, host, String(port)], { stdout: "pipe" });
    const lines = linesOf(python.stdout);
    try {
      await lines.until("python.ready {}");
      const wire = await open("snake ü", 1);
      const opened = await lines.until('"account": "snake \\u00fc"');
      expect(opened).toStartWith("hf.event.opened.");

      const shouted = await wire.request(40, bytesOf("hello"));
      const joined = await wire.request(41, bytesOf("python.news"));
      const pushed = await wire.request(42, bytesOf("python.news"));
      const refused = await wire.request(43, bytesOf(""));

      expect(textOf(shouted.body)).toBe("snake ü: HELLO");
      expect([joined.status, pushed.status]).toEqual([0, 0]);
      const both = [await nextText(wire), await nextText(wire)].toSorted();
      expect(both).toEqual(["to the seat", "to the topic"]);
      await lines.until('python.outcome {"outcome": "written", "written": 1');
      expect(refused.status).toBe(3);
      expect(decodeErrorBody(refused.body)).toEqual({ code: 301600, message: "no such thing: ü" });
      wire.reset();
      expect(await lines.until('"account": "snake')).toStartWith("hf.event.closed.");
    } finally {
      python.kill();
      await python.exited;
    }
  });
});

/** Listeners in turn: TCP and WebSocket of each of three edges. */
async function open(account: string, listener: number): Promise<Wire> {
  const token = await cluster.issue(account, 5);
  const { wire, login } = await present(cluster.urls[listener]!, token); // there are six
  expect(login).not.toBeNull();
  return wire;
}

async function nextText(wire: Wire): Promise<string> {
  for (;;) {
    const packet = await wire.next();
    if (packet.type === "push" && packet.command === 50) return textOf(packet.body);
  }
}

/** `until` skips to the line that holds the words: others' connections come and go as well. */
function linesOf(stream: ReadableStream<Uint8Array>): { until(words: string): Promise<string> } {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  return {
    async until(words) {
      for (;;) {
        const end = rest.indexOf("\n");
        const line = rest.slice(0, Math.max(0, end));
        if (end >= 0) rest = rest.slice(end + 1);
        if (line.includes(words)) return line;
        if (end >= 0) continue;
        const { value, done } = await reader.read();
        if (done) throw new Error(`The upstream has ended before: ${words}`);
        rest += decoder.decode(value, { stream: true });
      }
    },
  };
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
