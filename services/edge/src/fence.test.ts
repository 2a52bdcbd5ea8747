/** What becomes of connections whose node cannot reach the store, by mode and what others say. */
import { describe, expect, test } from "bun:test";
import type { Answer } from "@holdfast/cluster";
import { createSession, createTestNode } from "../test/support/test-node.ts";
import { createFence } from "./fence.ts";
import { sweepIntervalMs } from "./liveness.ts";
import type { EdgeNode } from "./node.ts";
import { begin, enter, Peer } from "./peer.ts";

const handshake = { version: 1, codec: 1, platform: 9, reserve: 0 } as const;
const marginMs = 1000;
const leaseMs = 45_000;
const steady: Answer = { node: "other", reachingMs: 60_000 };
const cut: Answer = { node: "other", reachingMs: 0 };

describe("createFence: strict", () => {
  test("seat is closed before its lease can lapse, and no sooner", async () => {
    const rig = createRig("strict", [cut]);
    const [fresh, renewed] = [rig.logIn(10_000), rig.logIn(30_000)];
    rig.setCut(true);

    await rig.runTo(10_000 - marginMs - sweepIntervalMs);
    expect([fresh.phase.at, rig.fence.state]).toEqual(["open", "cut"]);
    expect(rig.fence.unreadyReason).toBeNull();
    rig.node.kicks.tell("far", {
      ...{ account: "alice", by: fresh.seat, atMs: 0 },
      ...{ displaced: [{ connection: "1", generation: 1 }], takenOver: [] },
    });
    await rig.runTo(10_000 - marginMs);
    expect(fresh.phase).toEqual({ at: "closed", ending: "serverShutdown" });
    expect([rig.fence.state, renewed.phase.at]).toEqual(["fenced", "open"]);
    expect(rig.node.kicks.size).toBe(0); // whom its store displaced may have a seat elsewhere
    expect(rig.fence.unreadyReason).toContain("fenced");
    await rig.runTo(30_000 - marginMs);

    expect(renewed.phase.at).toBe("closed");
    expect(await rig.metric("holdfast_fence_closes_total")).toBe(2);
  });

  test("node is ready again, and keeps what is left, when the store is back", async () => {
    const rig = createRig("strict", []);
    rig.logIn(10_000);
    const stays = rig.logIn(30_000);
    rig.setCut(true);
    await rig.runTo(20_000);
    expect(rig.fence.unreadyReason).not.toBeNull();

    rig.setCut(false);
    await rig.runTo(60_000);

    expect([rig.fence.state, rig.fence.unreadyReason]).toEqual(["linked", null]);
    expect(stays.phase.at).toBe("open");
  });
});

describe("createFence: auto", () => {
  test("nobody is closed while no other node reaches the store either", async () => {
    const rig = createRig("auto", [cut]);
    const peer = rig.logIn(30_000);
    rig.setCut(true);

    await rig.runTo(10 * leaseMs);

    expect([peer.phase.at, rig.fence.state, rig.fence.unreadyReason]).toEqual([
      "open",
      "cut",
      null,
    ]);
    expect(rig.fence.servesUnverified()).toBe(true);
    expect(rig.fence.leaseRemainingMs()).toBe(0);
  });

  test("node that is cut off alone is not ready, and closes before leases lapse", async () => {
    const rig = createRig("auto", [cut, steady]);
    const peer = rig.logIn(30_000);
    rig.setCut(true);

    await rig.runTo(30_000 - marginMs - sweepIntervalMs);
    expect([peer.phase.at, rig.fence.state]).toEqual(["open", "alone"]);
    expect(rig.fence.unreadyReason).toContain("alone");
    expect(rig.fence.servesUnverified()).toBe(false);
    await rig.runTo(30_000 - marginMs);

    expect(peer.phase).toEqual({ at: "closed", ending: "serverShutdown" });
  });

  test("whoever is back first after an outage proves nothing for two renewals", async () => {
    const rig = createRig("auto", [{ node: "other", reachingMs: 9999 }]);
    const peer = rig.logIn(30_000);
    rig.setCut(true);
    await rig.runTo(leaseMs);
    expect(peer.phase.at).toBe("open");

    rig.setAnswers([{ node: "other", reachingMs: 10_000 }]);
    await rig.runTo(leaseMs + 5500);

    expect(peer.phase.at).toBe("closed");
  });

  test("node that hears of nobody closes after a whole lease, 46 s at the latest", async () => {
    const rig = createRig("auto", []);
    const [fresh, renewed] = [rig.logIn(10_000), rig.logIn(30_000)];
    rig.setCut(true);

    await rig.runTo(leaseMs - sweepIntervalMs);
    expect([fresh.phase.at, renewed.phase.at, rig.fence.state]).toEqual([
      "open",
      "open",
      "isolated",
    ]);
    await rig.runTo(leaseMs + 1000);

    expect([fresh.phase.at, renewed.phase.at]).toEqual(["closed", "closed"]);
  });

  // Four others: two that answer may be in an outage with this node, one is its part of a split.
  test.each([
    ["half of the others keeps its seats", 2, "open", "cut"],
    ["less than half of the others closes them", 1, "closed", "fenced"],
  ] as const)("node that hears of %s", async (_, heard, phase, state) => {
    const rig = createRig("auto", new Array<Answer>(heard).fill(cut), { others: 4 });
    const peer = rig.logIn(30_000);
    rig.setCut(true);

    await rig.runTo(leaseMs + 1000);

    expect([peer.phase.at, rig.fence.state]).toEqual([phase, state]);
  });

  test("one question without an answer isolates nobody", async () => {
    const rig = createRig("auto", [cut]);
    const peer = rig.logIn(30_000);
    rig.setCut(true);
    await rig.runTo(2 * leaseMs);

    rig.setAnswers([]);
    await rig.runTo(2 * leaseMs + 9000); // two questions
    rig.setAnswers([cut]);
    await rig.runTo(4 * leaseMs);

    expect(peer.phase.at).toBe("open");
  });

  test("only node of a cluster closes nobody: no one can have its seats", async () => {
    const rig = createRig("auto", [{ node: "me", reachingMs: 0 }], { others: 0 });
    const peer = rig.logIn(30_000);
    rig.setCut(true);

    await rig.runTo(3 * leaseMs);

    expect(peer.phase.at).toBe("open");
  });
});

describe("createFence: available", () => {
  test("seats are kept, and the node is not ready while it alone is cut off", async () => {
    const rig = createRig("available", [steady]);
    const peer = rig.logIn(30_000);
    rig.setCut(true);

    await rig.runTo(3 * leaseMs);

    expect([peer.phase.at, rig.fence.state]).toEqual(["open", "alone"]);
    expect(rig.fence.unreadyReason).toContain("alone");
    expect(rig.fence.servesUnverified()).toBe(true);
  });
});

describe("createFence: time in which the process stood still", () => {
  test("closes nobody before the store has been asked again", async () => {
    const rig = createRig("strict", []);
    const peer = rig.logIn(30_000);
    rig.setCut(true);
    rig.setAttempts(false);
    await rig.clock.advance(2 * leaseMs);
    rig.node.watchdog.tick(rig.clock.monotonic());

    rig.fence.tick();
    expect(peer.phase.at).toBe("open");
    rig.setAttempts(true);
    rig.fence.tick();
    rig.fence.tick();

    expect(peer.phase.at).toBe("closed");
  });
});

/** A node whose store can be cut off; the others answer what the test says. */
function createRig(mode: string, heard: readonly Answer[], { others = 2 } = {}) {
  const made = createTestNode({ EDGE_FENCE: mode });
  const { clock } = made;
  let answers = heard;
  let isCut = false;
  let attemptedMs = 0;
  let isAttempting = true;
  const node: EdgeNode = {
    ...made.node,
    bus: { ...made.node.bus, ask: async () => answers },
    seats: {
      ...made.node.seats,
      isCut: () => isCut,
      isSilent: () => isCut,
      others,
      get attemptedMs() {
        return attemptedMs;
      },
      async renew() {
        if (isAttempting) attemptedMs = clock.monotonic();
      },
    },
  };
  const fence = createFence(() => node);
  return {
    ...{ clock, node, fence, metric: made.metric },
    /** Its lease surely runs for so long from now. */
    logIn(termMs: number): Peer {
      const peer = new Peer(made.node, made.connect("tcp"), handshake);
      begin(peer);
      enter(peer, createSession("alice"));
      if (peer.phase.at !== "open") throw new Error("It did not enter");
      peer.phase.held.termMs = termMs;
      return peer;
    },
    /** Sweeps until so long after the start. */
    async runTo(untilMs: number) {
      while (clock.monotonic() < untilMs) {
        await clock.advance(sweepIntervalMs);
        node.watchdog.tick(clock.monotonic());
        fence.tick();
        await clock.advance(0);
      }
    },
    setCut(now: boolean) {
      isCut = now;
    },
    setAnswers(now: readonly Answer[]) {
      answers = now;
    },
    setAttempts(now: boolean) {
      isAttempting = now;
    },
  };
}
