import { describe, expect, test } from "bun:test";
import { decodeHeartbeat } from "@holdfast/protocol";
import { createSession, createTestNode, type TestNode } from "../test/support/test-node.ts";
import { createSweep, sweepIntervalMs } from "./liveness.ts";
import { backToLogin, begin, enter, Peer } from "./peer.ts";

const handshake = { version: 1, codec: 1, platform: 9, reserve: 0 } as const;
const second = 1000;

/** A node whose sweep runs on its clock. */
function startSweeping(): TestNode {
  const made = createTestNode();
  const sweep = createSweep(made.node);
  made.clock.every(sweepIntervalMs, () => sweep(made.clock.monotonic()));
  return made;
}

function connectOpen(made: TestNode, transport: "tcp" | "ws") {
  const connection = made.connect(transport);
  const peer = new Peer(made.node, connection, handshake);
  begin(peer);
  enter(peer, createSession("alice"));
  return { connection, peer };
}

function endingOf(peer: Peer): string {
  return peer.phase.at === "closed" ? peer.phase.ending : "none";
}

describe("createSweep", () => {
  test("handshake that does not come is ended at its deadline, and told nothing", async () => {
    const made = startSweeping(); // [D03]
    const connection = made.connect("tcp");
    const peer = new Peer(made.node, connection, null);

    await made.clock.advance(5 * second - 1);
    expect(endingOf(peer)).toBe("none");
    await made.clock.advance(sweepIntervalMs);

    expect(endingOf(peer)).toBe("handshakeTimeout");
    expect(connection.farewells).toEqual([{ push: null, frame: null, discard: false }]);
  });

  test("stranger is ended at the auth timeout", async () => {
    const made = startSweeping();
    const peer = new Peer(made.node, made.connect("ws"), handshake);

    await made.clock.advance(30 * second - 1);
    expect(endingOf(peer)).toBe("none");
    await made.clock.advance(sweepIntervalMs);

    expect(endingOf(peer)).toBe("authTimeout");
  });

  test("one that throws is ended, and those behind it have their turn", async () => {
    const made = startSweeping();
    const first = connectOpen(made, "tcp");
    const second = connectOpen(made, "tcp");
    first.connection.send = () => {
      throw new Error("a bug");
    };

    await made.clock.advance(31 * 1000); // both are due for a heartbeat

    expect(endingOf(first.peer)).toBe("serverError");
    expect(endingOf(second.peer)).toBe("none");
    expect(second.connection.sent).toHaveLength(1);
  });

  test("refused login is ended after the grace, never before", async () => {
    const made = startSweeping(); // [D30]
    const peer = new Peer(made.node, made.connect("tcp"), handshake);
    await made.clock.advance(29 * second);
    begin(peer);
    await made.clock.advance(10 * second);
    backToLogin(peer, "sessionRefused");

    await made.clock.advance(3 * second - 1);
    expect(endingOf(peer)).toBe("none");
    await made.clock.advance(sweepIntervalMs);

    expect(endingOf(peer)).toBe("sessionRefused");
  });

  test("refused login that was told to wait longer than the grace is there until then", async () => {
    const made = startSweeping(); // [D30]
    const peer = new Peer(made.node, made.connect("tcp"), handshake);
    begin(peer);
    backToLogin(peer, "storeUnavailable", 4 * second);

    await made.clock.advance(5 * second - 1);
    expect(endingOf(peer)).toBe("none");
    await made.clock.advance(sweepIntervalMs);

    expect(endingOf(peer)).toBe("storeUnavailable");
  });

  test.each(["tcp", "ws"] as const)(
    "silence on %s is ended after the heartbeat timeout",
    async (transport) => {
      const made = startSweeping(); // [D18]
      const { peer } = connectOpen(made, transport);

      await made.clock.advance(90 * second - 1);
      expect(endingOf(peer)).toBe("none");
      await made.clock.advance(sweepIntervalMs);

      expect(endingOf(peer)).toBe("heartbeatTimeout");
    },
  );

  test("whoever was heard lives on", async () => {
    const made = startSweeping();
    const { peer } = connectOpen(made, "tcp");

    for (let count = 0; count < 10; count++) {
      await made.clock.advance(89 * second);
      peer.lastSeenMs = made.clock.monotonic();
    }

    expect(endingOf(peer)).toBe("none");
  });

  test("pings go out at the fixed interval from the handshake on, numbered, in every phase", async () => {
    const made = startSweeping(); // [§11]
    const connection = made.connect("ws");
    const peer = new Peer(made.node, connection, handshake);
    await made.clock.advance(29 * second);
    expect(connection.pings).toHaveLength(0);
    begin(peer);
    await made.clock.advance(second + sweepIntervalMs);
    enter(peer, createSession("alice"));
    for (let count = 0; count < 40; count++) {
      peer.lastSeenMs = made.clock.monotonic();
      await made.clock.advance(30 * second);
    }

    expect(connection.pings.length).toBe(41);
    expect(connection.pings.map((ping) => decodeHeartbeat(ping).id)).toEqual(
      Array.from({ length: 41 }, (_, index) => index + 1),
    );
    expect(connection.sent).toEqual([]); // no heartbeat packets on WebSocket
  });

  test("TCP gets heartbeat requests instead of pings", async () => {
    const made = startSweeping(); // [D16]
    const { connection } = connectOpen(made, "tcp");

    await made.clock.advance(61 * second);

    expect(connection.sent).toHaveLength(2);
    expect(connection.pings).toEqual([]);
  });

  test("peers that could not be heard while the process stood still are forgiven", async () => {
    const made = createTestNode();
    const sweep = createSweep(made.node);
    const { peer } = connectOpen(made, "tcp");
    const stranger = new Peer(made.node, made.connect("ws"), handshake);
    const runUntil = async (endMs: number) => {
      while (made.clock.monotonic() < endMs) {
        await made.clock.advance(sweepIntervalMs);
        sweep(made.clock.monotonic());
      }
    };
    await runUntil(20 * second);

    await made.clock.advance(300 * second);
    sweep(made.clock.monotonic());
    expect([endingOf(peer), endingOf(stranger)]).toEqual(["none", "none"]);

    await runUntil(329 * second);
    expect([endingOf(peer), endingOf(stranger)]).toEqual(["none", "none"]);
    await runUntil(331 * second);
    expect(endingOf(stranger)).toBe("authTimeout");
    await runUntil(389 * second);
    expect(endingOf(peer)).toBe("none");
    await runUntil(391 * second);
    expect(endingOf(peer)).toBe("heartbeatTimeout");
  });

  test("stall gives nobody more time than it took", async () => {
    const made = createTestNode();
    const sweep = createSweep(made.node);
    const { peer } = connectOpen(made, "tcp");
    sweep(made.clock.monotonic());

    await made.clock.advance(300 * second);
    peer.lastSeenMs = made.clock.monotonic(); // what came meanwhile was read before the sweep
    sweep(made.clock.monotonic());
    while (made.clock.monotonic() < 391 * second) {
      await made.clock.advance(sweepIntervalMs);
      sweep(made.clock.monotonic());
    }

    expect(endingOf(peer)).toBe("heartbeatTimeout");
  });

  test("sweep that is a little late ends whom it finds", async () => {
    const made = createTestNode();
    const sweep = createSweep(made.node);
    const peer = new Peer(made.node, made.connect("tcp"), null);
    sweep(made.clock.monotonic());
    await made.clock.advance(4 * second);
    sweep(made.clock.monotonic()); // late, so everybody is forgiven as much
    await made.clock.advance(2 * second);
    sweep(made.clock.monotonic()); // late by less than a stall
    expect(endingOf(peer)).toBe("none");

    await made.clock.advance(2 * second);
    sweep(made.clock.monotonic());
    await made.clock.advance(second);
    sweep(made.clock.monotonic());

    expect(endingOf(peer)).toBe("handshakeTimeout");
  });

  test("of many that are due at once a sweep pings a thousand, and the next the others", async () => {
    const made = startSweeping();
    const connections = Array.from({ length: 1500 }, () => connectOpen(made, "ws").connection);
    const pinged = () => connections.filter(({ pings }) => pings.length === 1).length;

    await made.clock.advance(30 * second);
    expect(pinged()).toBe(1000);
    await made.clock.advance(sweepIntervalMs);

    expect(pinged()).toBe(1500);
  });

  test("of many that are silent a sweep ends a thousand, and the next the others", async () => {
    const made = startSweeping();
    const peers = Array.from({ length: 1500 }, () => {
      return new Peer(made.node, made.connect("tcp"), null);
    });
    const ended = () => peers.filter((peer) => endingOf(peer) === "handshakeTimeout").length;

    await made.clock.advance(5 * second);
    expect(ended()).toBe(1000);
    await made.clock.advance(sweepIntervalMs);

    expect(ended()).toBe(1500);
  });
});
