/** Pushes of the kit on a real NATS, with tests in the place of the edges. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { type Server, startNats } from "@holdfast/servers";
import { connect, headers as createHeaders, type Msg, type NatsConnection } from "nats";
import { createUpstream, type Upstream } from "./upstream.ts";

const push = { command: 50, body: new Uint8Array(3) };
const seat = "node-1/a";

let server: Server;
let edge: NatsConnection;
let upstream: Upstream;
const ends: (() => void)[] = [];

beforeAll(async () => {
  server = await startNats();
  edge = await connect({ servers: server.url, reconnectTimeWait: 50 });
  upstream = await createUpstream({ nats: { servers: server.url, reconnectTimeWait: 50 } });
});
afterEach(() => {
  for (const end of ends.splice(0)) end();
});
afterAll(async () => {
  await upstream.stop();
  await edge.close();
  await server.stop();
});

describe("push", () => {
  test("push says whom it is for, and gives what the edge answers", async () => {
    const heard = await hear("hf.node.node-1", { outcome: "slow", written: 1, slow: 2 });

    const metadata = { a: "ü=&" };
    const result = await upstream.push.toSeat(seat, { ...push, key: "EUR/USD", metadata });

    const none = { draining: 0, noConnection: 0 };
    expect(result).toEqual({ outcome: "written", written: 1, slow: 2, ...none });
    expect(fieldsOf(heard[0]!)).toEqual({
      "Holdfast-Seat": seat,
      "Holdfast-Command": "50",
      "Holdfast-Metadata": "a=%C3%BC%3D%26",
      "Holdfast-Key": "EUR%2FUSD",
    });
  });

  test("account is percent-encoded, and an error of the edge is one here", async () => {
    const heard = await hear("hf.push", { outcome: "error" }, "The registry did not answer");

    const failed = await failure(upstream.push.toAccount("anna Ä", push));

    expect(failed).toBe("refused: The edge refused a push: The registry did not answer");
    expect(fieldsOf(heard[0]!)["Holdfast-Account"]).toBe("anna%20%C3%84");
  });

  test("answers of several edges with members are added up", async () => {
    await hear("hf.topic.news", { outcome: "written", written: 2 });
    await hear("hf.topic.news", { outcome: "no-connection" });
    await hear("hf.topic.news", { outcome: "written", written: 5, slow: 1 });

    const result = await upstream.push.toTopic("news", push);

    expect(result).toMatchObject({ outcome: "written", written: 7, slow: 1 });
  });

  test("nobody who listens is an outcome", async () => {
    for (const asked of [
      upstream.push.toSeat("gone/1", push),
      upstream.push.toTopic("nobody.here", push),
    ]) {
      expect(await asked).toMatchObject({ outcome: "no-connection", written: 0, noConnection: 0 });
    }
  });

  test("edge that does not answer is no outcome", async () => {
    const mute = edge.subscribe("hf.node.mute", { callback: () => {} });
    await edge.flush();

    expect(await failure(upstream.push.toSeat("mute/1", push))).toStartWith("timeout: ");
    mute.unsubscribe();
  });

  test("topics are joined and left with one message", async () => {
    const answer = { outcome: "limit", joined: 1, limit: 1 };
    const heard = await hear("hf.node.node-1", answer);

    const result = await upstream.topics.join(seat, ["a.b", "c"]);

    expect(result).toEqual({ outcome: "limit", joined: 1, left: 0, limit: 1, noConnection: 0 });
    const fields = { "Holdfast-Seat": seat, "Holdfast-Join": "a.b,c" };
    expect(fieldsOf(heard[0]!)).toEqual(fields);
  });

  test("what no edge would take is refused here", async () => {
    const refused = [
      () => upstream.send.toSeat("nowhere", push),
      () => upstream.send.toSeat("a.b/1", push),
      () => upstream.send.toTopic("a.*", push),
      () => upstream.send.toTopic("t".repeat(201), push),
      () => upstream.send.toTopic("a", { command: 3 }),
      () => upstream.send.toTopic("a", { command: 256 }),
    ];

    for (const one of refused) expect(one).toThrow(RangeError);
    expect(upstream.send.toTopic("t".repeat(200), { command: 255 })).toBe(true);
  });

  test("nothing is kept for a NATS that is away, and all goes on when it is back", async () => {
    server.signal("SIGKILL");
    await until(() => !upstream.isConnected());

    expect(upstream.send.toTopic("news", push)).toBe(false);
    expect(await failure(upstream.push.toSeat(seat, push))).toStartWith("disconnected: ");
    await server.restart();
    await until(() => upstream.isConnected());
    await edge.flush();
    const heard = await hear("hf.node.node-1", { outcome: "written", written: 1 });

    expect(await upstream.push.toSeat(seat, push)).toMatchObject({ outcome: "written" });
    expect(heard).toHaveLength(1);
  });
});

/** Answers all that comes, as an edge would. */
async function hear(subject: string, body: object, error?: string): Promise<readonly Msg[]> {
  const heard: Msg[] = [];
  const headers = createHeaders();
  if (error) headers.set("Holdfast-Error", error);
  headers.set("Holdfast-Outcome", "outcome" in body ? String(body.outcome) : "");
  const subscription = edge.subscribe(subject, {
    callback(_error, message) {
      heard.push(message);
      message.respond(JSON.stringify(body), { headers });
    },
  });
  ends.push(() => subscription.unsubscribe());
  await edge.flush();
  return heard;
}

function fieldsOf({ headers }: Msg): Record<string, string> {
  return Object.fromEntries(
    (headers?.keys() ?? []).map((name) => [name, headers?.get(name) ?? ""]),
  );
}

/** The reason of a PushError and its words. */
async function failure(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => new Error("it did not fail"),
    (reason: Error) => reason,
  );
  return `${"reason" in error ? error.reason : error.name}: ${error.message}`;
}

async function until(holds: () => boolean): Promise<void> {
  const endMs = performance.now() + 10_000;
  while (!holds()) {
    if (performance.now() > endMs) throw new Error("Waited 10 s in vain");
    await Bun.sleep(5);
  }
}
