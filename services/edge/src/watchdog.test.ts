/** What comes from clients right after the process stood still, with a clock of the test. */
import { describe, expect, test } from "bun:test";
import { encodeRequest } from "@holdfast/protocol";
import type { Verdict } from "@holdfast/session";
import { echo } from "../test/support/scripted-upstream.ts";
import { createSession, createTestNode } from "../test/support/test-node.ts";
import { receive, release } from "./dispatch.ts";
import { createFence } from "./fence.ts";
import { sweepIntervalMs } from "./liveness.ts";
import type { EdgeNode } from "./node.ts";
import { begin, enter, gone, Peer } from "./peer.ts";
import { createSeats } from "./seats.ts";
import { createWatchdog, stallMs } from "./watchdog.ts";

const handshake = { version: 1, codec: 1, platform: 9, reserve: 0 } as const;
const request = (id: number) => encodeRequest(1, echo, id, 0, Uint8Array.of(id));

for (const transport of ["tcp", "ws"] as const) {
  describe(`createWatchdog on ${transport}`, () => {
    test("what comes first after a stall waits for the verdict, in order, and is answered", async () => {
      const rig = createRig(transport);
      const peer = rig.logIn();

      await rig.standStill();
      for (const id of [1, 2, 3]) receive(peer, request(id));
      expect(rig.sent(peer)).toBe(0);
      rig.decide("held");
      await rig.turns();

      expect(rig.sent(peer)).toBe(3);
      expect(rig.requested).toEqual([1, 2, 3]);
      expect([peer.isKept, peer.waiting, rig.node.bodyBytes]).toEqual([false, null, 0]);
      expect(await rig.metric("holdfast_stalls_total")).toBe(1);
    });

    test("connection that was superseded meanwhile has nothing routed or answered", async () => {
      const rig = createRig(transport);
      const peer = rig.logIn();

      await rig.standStill();
      receive(peer, request(1));
      rig.decide("displaced");
      await rig.turns();
      receive(peer, request(2));

      expect(peer.phase).toEqual({ at: "closed", ending: "displaced" });
      expect([rig.requested, rig.sent(peer)]).toEqual([[], 0]);
      expect(rig.node.bodyBytes).toBe(0);
    });

    test("a timer that runs first makes no difference", async () => {
      const rig = createRig(transport);
      const peer = rig.logIn();

      await rig.standStill();
      rig.node.watchdog.tick(rig.clock.monotonic());
      receive(peer, request(1));
      expect(rig.requested).toEqual([]);
      rig.decide("held");
      await rig.turns();

      expect(rig.requested).toEqual([1]);
    });

    test("verdict on a question from before the stall does not count", async () => {
      const rig = createRig(transport);
      const peer = rig.logIn();
      void rig.node.seats.renew();

      await rig.standStill();
      receive(peer, request(1));
      rig.decide("held"); // asked before
      await rig.turns();
      expect(rig.requested).toEqual([]);
      rig.decide("held");
      await rig.turns();

      expect(rig.requested).toEqual([1]);
    });

    test("nothing waits after a pause that is short, or in which the timer ran", async () => {
      const rig = createRig(transport);
      const peer = rig.logIn();

      await rig.clock.advance(stallMs);
      receive(peer, request(1));
      rig.node.watchdog.tick(rig.clock.monotonic());
      await rig.clock.advance(stallMs);
      receive(peer, request(2));

      expect(rig.requested).toEqual([1, 2]);
    });

    test("login after the stall waits for nothing", async () => {
      const rig = createRig(transport);
      await rig.standStill();
      rig.node.watchdog.tick(rig.clock.monotonic());

      const peer = rig.logIn();
      receive(peer, request(1));

      expect(rig.requested).toEqual([1]);
    });

    test.each([
      ["available", true],
      ["strict", false],
    ])("while the store is away mode %s decides", async (mode, isServed) => {
      const rig = createRig(transport, mode);
      const peer = rig.logIn();

      await rig.standStill();
      receive(peer, request(1));
      rig.decide(null);
      await rig.turns();
      expect(rig.requested).toEqual(isServed ? [1] : []);
      if (isServed) return;
      await rig.clock.advance(1000);
      rig.decide("held");
      await rig.turns();

      expect(rig.requested).toEqual([1]);
    });

    test("connection that ends while it is kept leaves nothing behind", async () => {
      const rig = createRig(transport);
      const [first, second] = [rig.logIn(), rig.logIn()];
      await rig.standStill();
      for (const peer of [first, second]) receive(peer, request(1));

      gone(first, false);
      rig.decide("held");
      await rig.turns();

      expect(rig.requested).toEqual([1]);
      expect(rig.node.bodyBytes).toBe(0);
    });
  });
}

/** A node whose registry gives its verdict when the test says so. */
function createRig(transport: "tcp" | "ws", mode = "auto") {
  const made = createTestNode({ EDGE_FENCE: mode });
  const { clock } = made;
  const asked: { count: number; resolve: (verdicts: (Verdict | null)[]) => void }[] = [];
  const requested: number[] = [];
  const upstream: EdgeNode["upstream"] = {
    ...made.node.upstream,
    request(call) {
      requested.push(call.requestId);
      call.answered(0, new Uint8Array(0), 0, 0, null);
    },
  };
  const registry: EdgeNode["registry"] = {
    ...made.node.registry,
    renew: (holdings) => new Promise((resolve) => asked.push({ count: holdings.length, resolve })),
  };
  const node: EdgeNode = { ...made.node, registry, upstream };
  const parts = {
    seats: createSeats(() => node),
    fence: createFence(() => node),
    watchdog: createWatchdog(() => node, clock.monotonic(), release),
  };
  Object.assign(node, parts);
  const turns = async () => {
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    ...{ clock, node, requested, metric: made.metric, turns },
    logIn(): Peer {
      const peer = new Peer(node, made.connect(transport), handshake);
      begin(peer);
      enter(peer, createSession("alice"));
      return peer;
    },
    /** Timers do not run while the clock does. */
    standStill: () => clock.advance(stallMs + sweepIntervalMs),
    decide(verdict: Verdict | null) {
      const one = asked.shift();
      one?.resolve(Array.from({ length: one.count }, () => verdict));
    },
    sent: (peer: Peer) => (peer.connection as ReturnType<typeof made.connect>).sent.length,
  };
}

describe("sentSinceMs", () => {
  // [§9] a Reconnect that its client has overtaken meanwhile elsewhere is known by this
  test("what is read right after a stall may have been there since before it", async () => {
    const rig = createRig("tcp");
    const { watchdog } = rig.node;
    const now = () => rig.clock.monotonic();
    watchdog.tick(now());
    const beforeMs = now();
    expect(watchdog.sentSinceMs(beforeMs)).toBe(beforeMs);

    await rig.standStill();
    receive(rig.logIn(), request(1));

    const wokeMs = now();
    expect(watchdog.sentSinceMs(wokeMs)).toBeWithin(beforeMs, wokeMs - stallMs + 1);
    expect(watchdog.sentSinceMs(wokeMs + 999)).toBe(watchdog.sentSinceMs(wokeMs));
    expect(watchdog.sentSinceMs(wokeMs + 1000)).toBe(wokeMs + 1000);
  });
});
