import { describe, expect, test } from "bun:test";
import { createNarrow } from "../../test/support/narrow.ts";
import { outgoing } from "../../test/support/pushes.ts";
import { createSession, createTestNode } from "../../test/support/test-node.ts";
import { begin, close, deliver, enter, Peer, respondHeartbeat } from "../peer.ts";
import { defaultRule, type TopicRule } from "./topic-rules.ts";

const headerBytes = 5;

function rule(given: Partial<TopicRule>): TopicRule {
  return { ...defaultRule, match: "topic", ...given };
}

/** An open peer in "topic", whose socket has as much room. */
function scene(rules: readonly TopicRule[], room = 0, settings = {}) {
  const plain = { EDGE_GZIP_MIN_BYTES: 16 * 1024 * 1024 }; // so that bytes can be counted
  const { node, clock, metric } = createTestNode({ ...plain, ...settings }, rules);
  const connection = createNarrow(node.outbound, room);
  const peer = new Peer(node, connection, { version: 1, codec: 1, platform: 1 });
  begin(peer);
  enter(peer, createSession("account"));
  for (const topic of ["topic", "other"]) node.pushes.join(peer.id, topic);
  const toTopic = (text: string, key: string | null = null, topic = "topic") => {
    const { written, slow, draining } = node.pushes.toTopic(topic, outgoing(text, { key }));
    return written > 0 ? "written" : slow > 0 ? "slow" : draining > 0 ? "draining" : "none";
  };
  return {
    ...{ node, clock, metric, peer, connection, toTopic },
    /** Fills the socket, so that it takes no more. */
    block() {
      deliver(peer, new Uint8Array([3, 60, 0, 0, 1, 46]), "push", 1);
      connection.flush();
    },
    drain(bytes = 1_000_000) {
      connection.room = bytes;
      connection.flush();
      if (!connection.isBlocked) node.pushes.drained(peer);
      connection.flush();
    },
    dropped: (policy: string) => metric(`holdfast_pushes_dropped_total{policy="${policy}"}`),
  };
}

describe("push to a client that reads", () => {
  test("it goes straight to the socket, and no lane is made", () => {
    const { peer, connection, toTopic } = scene([], 1000);

    expect([toTopic("one"), toTopic("two")]).toEqual(["written", "written"]);
    connection.flush();

    expect(connection.taken).toEqual(["one", "two"]);
    expect(peer.lane).toBeNull();
  });

  test("busy turn asks the socket on the way, and makes no slow client", () => {
    const { peer, connection, toTopic } = scene([], 10_000_000);
    const text = "x".repeat(10_000);

    for (let count = 0; count < 900; count++) expect(toTopic(text)).toBe("written");
    connection.flush();

    expect(connection.taken.length).toBe(900);
    expect(peer.lane).toBeNull();
  });
});

describe("push to a client whose socket is blocked", () => {
  test("responses go ahead of what waits, and the pushes keep their order", () => {
    const { peer, node, connection, toTopic, block, drain } = scene([]);
    block();
    toTopic("one");
    node.pushes.toConnection(peer.id, outgoing("two"));
    toTopic("three");
    respondHeartbeat(peer, 1, Buffer.from("beat"));

    drain();

    expect(connection.taken).toEqual([".", "=beat", "one", "two", "three"]);
    expect(peer.lane).toBeNull();
    expect(node.pushes.waiting).toBe(0);
    expect(node.outbound.nodeBytes).toBe(0);
  });

  test("lane that the socket takes in parts lets responses pass each time", () => {
    const { peer, connection, toTopic, block, drain } = scene([]);
    block();
    const texts = Array.from({ length: 4 }, (_, index) => `${index}`.repeat(50_000));
    for (const text of texts) toTopic(text);

    drain(60_000);
    respondHeartbeat(peer, 1, Buffer.from("beat"));
    drain();

    const seen = connection.taken.map((text) => text.slice(0, 5));
    expect(seen).toEqual([".", "00000", "11111", "=beat", "22222", "33333"]);
  });

  test("policy close lets the bound fill up, and closes one push later", async () => {
    const settings = { EDGE_OUTBOUND_BYTES_MAX: 16_384 };
    const { peer, node, toTopic, block, metric, dropped } = scene([], 0, settings);
    block();

    expect(toTopic("x".repeat(16_384 - 6 - headerBytes))).toBe("written");
    expect(node.outbound.nodeBytes).toBe(16_384);
    expect(toTopic("")).toBe("slow");

    expect(peer.phase).toMatchObject({ at: "closed", ending: "slowConsumer" });
    expect(node.outbound.nodeBytes).toBe(0);
    expect(node.pushes.waiting).toBe(0);
    expect(await metric('holdfast_slow_consumers_closed_total{transport="ws"}')).toBe(1);
    expect(await dropped("close")).toBe(1);
  });

  test("policy close counts packets, too", () => {
    const settings = { EDGE_OUTBOUND_PACKETS_MAX: 16 };
    const { peer, toTopic, block } = scene([], 0, settings);
    block();

    for (let count = 0; count < 16; count++) expect(toTopic("x")).toBe("written");
    expect(toTopic("x")).toBe("slow");
    expect(peer.phase.at).toBe("closed");
  });

  test("bound of the node closes, too", () => {
    const { peer, node, toTopic, block } = scene([]);
    block();
    node.outbound.nodeBytes = node.outbound.nodeBytesMax - 7;

    expect(toTopic("ab")).toBe("written");
    expect(toTopic("ab")).toBe("slow");
    expect(peer.phase.at).toBe("closed");
  });

  test("policy drop-oldest keeps the newest, as many as it may", async () => {
    const rules = [rule({ policy: "drop-oldest", queueMax: 3 })];
    const { peer, connection, toTopic, block, drain, dropped } = scene(rules);
    block();

    for (const text of ["1", "2", "3", "4", "5"]) expect(toTopic(text)).toBe("written");
    toTopic("not mine", null, "other");
    drain();

    expect(connection.taken).toEqual([".", "3", "4", "5", "not mine"]);
    expect(await dropped("drop_oldest")).toBe(2);
    expect(peer.phase.at).toBe("open");
  });

  test("policy conflate keeps the newest of each key", async () => {
    const rules = [rule({ policy: "conflate", queueMax: 2 })];
    const { connection, toTopic, block, drain, dropped } = scene(rules);
    block();

    toTopic("a1", "a");
    toTopic("b1", "b");
    toTopic("a2", "a");
    expect(await dropped("conflate")).toBe(1);
    toTopic("c1", "c"); // one key too many: the oldest goes
    drain();

    expect(connection.taken).toEqual([".", "b1", "c1"]);
    expect(await dropped("conflate")).toBe(2);
  });

  test("policy conflate without keys keeps the newest of the topic", () => {
    const { connection, toTopic, block, drain } = scene([rule({ policy: "conflate" })]);
    block();

    for (const text of ["1", "2", "3"]) toTopic(text);
    drain();

    expect(connection.taken).toEqual([".", "3"]);
  });

  test("policies that drop never close, even at the connection's bound", async () => {
    const settings = { EDGE_OUTBOUND_BYTES_MAX: 16_384 };
    const rules = [rule({ policy: "drop-oldest", queueMax: 1000 })];
    const { peer, node, toTopic, block, dropped } = scene(rules, 0, settings);
    block();

    for (let count = 0; count < 20; count++) expect(toTopic("x".repeat(1000))).toBe("written");
    expect(toTopic("x".repeat(17_000))).toBe("slow"); // it alone is more than may wait
    toTopic("x".repeat(16_384 - 6 - headerBytes));
    respondHeartbeat(peer, 1, Buffer.from("beat"));

    expect(peer.phase.at).toBe("open");
    expect(await dropped("drop_oldest")).toBeGreaterThan(20);
    expect(node.outbound.nodeBytes).toBeLessThan(16_384);
  });

  test("what waits of a topic is dropped when it is left, or when the connection ends", () => {
    const { peer, node, connection, toTopic, block, drain } = scene([]);
    block();
    toTopic("one");
    toTopic("two", null, "other");
    node.pushes.leave(peer.id, "topic");
    drain();
    expect(connection.taken).toEqual([".", "two"]);

    connection.room = 0;
    block();
    toTopic("three", null, "other");
    close(peer, "clientLeft");

    expect(peer.lane).toBeNull();
    expect(node.pushes.waiting).toBe(0);
    expect(node.outbound.nodeBytes).toBe(0);
    expect(toTopic("four", null, "other")).toBe("none");
  });
});

describe("push of a topic with a pace", () => {
  const paced = { paceMs: 1000, burstMax: 2 };

  test("a burst goes at once, the rest when the pace allows it", async () => {
    const { peer, node, clock, connection, toTopic } = scene([rule(paced)], 1_000_000);
    for (const text of ["1", "2", "3", "4", "5"]) expect(toTopic(text)).toBe("written");
    toTopic("other", null, "other");
    node.pushes.tick();
    connection.flush();
    expect(connection.taken).toEqual(["1", "2", "other"]);

    await clock.advance(999);
    node.pushes.tick();
    connection.flush();
    expect(connection.taken.length).toBe(3);

    await clock.advance(1);
    node.pushes.tick();
    connection.flush();
    expect(connection.taken).toEqual(["1", "2", "other", "3", "4"]);

    await clock.advance(1000);
    node.pushes.tick();
    connection.flush();
    expect(connection.taken.at(-1)).toBe("5");
    expect(peer.lane).toBeNull();
  });

  test("what the pace holds back waits by the topic's policy", async () => {
    const rules = [rule({ ...paced, policy: "conflate" })];
    const { node, clock, connection, toTopic } = scene(rules, 1_000_000);
    for (const text of ["1", "2", "3", "4", "5"]) toTopic(text, "key");

    await clock.advance(1000);
    node.pushes.tick();
    connection.flush();

    expect(connection.taken).toEqual(["1", "2", "5"]);
  });

  test("every member has a pace of its own, which ends with its membership", () => {
    const { peer, node, toTopic } = scene([rule(paced)], 1_000_000);
    for (const text of ["1", "2"]) toTopic(text);
    expect(peer.lane).toBeNull();
    node.pushes.leave(peer.id, "topic");
    node.pushes.join(peer.id, "topic");

    toTopic("3");

    expect(peer.lane).toBeNull();
  });

  test("blocked socket is not written by the tick", () => {
    const { node, connection, toTopic, block } = scene([rule(paced)]);
    block();
    toTopic("1");

    node.pushes.tick();
    connection.flush();

    expect(connection.taken).toEqual([]);
  });
});

describe("outcome of a push", () => {
  test("connection that was told to leave is draining", () => {
    const { peer, node, toTopic } = scene([], 1000);
    peer.finishUntilMs = 1;

    expect(toTopic("late")).toBe("draining");
    expect(node.pushes.toConnection(peer.id, outgoing("late"))).toBe("draining");
  });

  test("connection that has left a draining node is draining", () => {
    const { peer, node } = scene([], 1000);
    node.isDraining = true;
    expect(node.pushes.toConnection(peer.id, outgoing("still here"))).toBe("written");
    close(peer, "serverShutdown");

    expect(node.pushes.toConnection(peer.id, outgoing("late"))).toBe("draining");
  });

  test("body that no packet can carry is a RangeError, and nobody is sent anything", async () => {
    const { node, connection, metric } = scene([], 1000);
    const push = { ...outgoing(""), body: noiseOf(16_777_216) };

    expect(() => node.pushes.toTopic("topic", push)).toThrow(RangeError);
    connection.flush();

    expect(connection.taken).toEqual([]);
    expect(await metric('holdfast_pushes_total{outcome="too_large"}')).toBe(1);
  });

  test("largest body, and a larger one that becomes smaller, are carried", () => {
    const { node } = scene([], 100_000_000, { EDGE_GZIP_MIN_BYTES: 1024 });
    const push = outgoing("");

    const largest = { ...push, body: noiseOf(16_777_215) };
    expect(node.pushes.toTopic("topic", largest).written).toBe(1);
    const zeros = { ...push, body: new Uint8Array(20_000_000) };
    expect(node.pushes.toTopic("topic", zeros).written).toBe(1);
  });

  test("command of the node itself, or none, is a bug of whoever brings it", () => {
    const { node, peer } = scene([], 1000);

    for (const command of [0, 3, 256]) {
      const push = outgoing("", { command });
      expect(() => node.pushes.toConnection(peer.id, push)).toThrow();
    }
    for (const command of [4, 255]) {
      expect(node.pushes.toConnection(peer.id, outgoing("", { command }))).toBe("written");
    }
  });
});

function noiseOf(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let from = 0; from < length; from += 65_536) {
    crypto.getRandomValues(bytes.subarray(from, from + 65_536));
  }
  return bytes;
}
