/** When a node may be held for dead, and when nobody may say so, with a clock of the test. */
import { describe, expect, test } from "bun:test";
import { createMemoryLedger, type NodeLedger, RegistryUnavailable } from "@holdfast/session";
import { createTestNode } from "../test/support/test-node.ts";
import { createHeart, heartTimes } from "./heart.ts";

const leaseMs = 45_000;
const times = heartTimes({ renewIntervalMs: 5000 });

describe("heartTimes", () => {
  test("a death is told within 10 s by default, and the bounds hold for short timers", () => {
    const { pulseMs, suspectMs, answerMs } = times;

    expect(suspectMs + 1.1 * pulseMs + 3 * answerMs).toBeLessThan(8000);
    expect(heartTimes({ renewIntervalMs: 50 })).toEqual({
      ...{ pulseMs: 100, suspectMs: 2000, answerMs: 500 },
    });
  });
});

describe("createHeart", () => {
  test("node that is silent in the store and on the bus is dead, once", async () => {
    const rig = createRig();
    await rig.runFor(leaseMs + 2000);

    rig.stop("b");
    rig.mute("b");
    await rig.runFor(times.suspectMs);
    expect(rig.dead).toEqual([]);
    await rig.runFor(2 * times.pulseMs + 3 * times.answerMs);
    expect(rig.dead).toEqual(["b"]);
    await rig.runFor(leaseMs);

    expect(rig.dead).toEqual(["b"]);
  });

  test("node that answers on the bus lives, though its heart is not heard", async () => {
    const rig = createRig();
    await rig.runFor(leaseMs + 2000);

    rig.stop("b");
    await rig.runFor(leaseMs);

    expect(rig.dead).toEqual([]);
  });

  test("node that the bus does not reach lives as long as its heart beats", async () => {
    const rig = createRig();
    await rig.runFor(leaseMs + 2000);

    rig.mute("b");
    await rig.runFor(leaseMs);

    expect([rig.dead, rig.asked.length]).toEqual([[], 0]);
  });

  test.each(["me", "c"])("nobody is dead while %s is not heard on the bus either", async (who) => {
    const rig = createRig();
    await rig.runFor(leaseMs + 2000);
    for (const name of ["b", who]) rig.mute(name);

    rig.stop("b");
    await rig.runFor(leaseMs);
    expect(rig.dead).toEqual([]);
    rig.mute(who, false);
    await rig.runFor(3 * times.suspectMs);

    expect(rig.dead).toEqual(["b"]);
  });

  test("two nodes that die after each other are dead, though one was the witness", async () => {
    const rig = createRig();
    await rig.runFor(leaseMs + 2000);

    rig.stop("b");
    rig.mute("b");
    await rig.runFor(2000);
    rig.stop("c");
    rig.mute("c");
    await rig.runFor(8000);

    expect(rig.dead.toSorted()).toEqual(["b", "c"]);
  });

  test("observer holds nobody for dead before it has reached the store for a lease", async () => {
    const rig = createRig();
    await rig.runFor(1000);
    rig.stop("b");
    rig.mute("b");

    await rig.runFor(leaseMs - 1000);
    expect(rig.dead).toEqual([]);
    await rig.runFor(5000);

    expect(rig.dead).toEqual(["b"]);
  });

  // Goal: the first node back must not bury the others. How: their hearts have stood still as long
  // as the store was away, and the bus is away for as long.
  test("after an outage of all nobody is dead, whoever is back first", async () => {
    const rig = createRig();
    await rig.runFor(leaseMs + 2000);

    rig.setAway(true);
    for (const name of ["b", "c"]) {
      rig.stop(name);
      rig.mute(name);
    }
    await rig.runFor(30_000);
    rig.setAway(false);
    await rig.runFor(20_000);
    for (const name of ["b", "c"]) rig.stop(name, false);
    await rig.runFor(leaseMs);

    expect(rig.dead).toEqual([]);
  });

  test("node that comes back while it is asked for is not dead", async () => {
    const rig = createRig();
    await rig.runFor(leaseMs + 2000);
    rig.stop("b");
    rig.mute("b");
    await rig.runUntil(() => rig.asked.includes("b"));

    rig.stop("b", false);
    await rig.runFor(leaseMs);

    expect(rig.dead).toEqual([]);
  });

  test("clock of the store that jumps ahead kills nobody", async () => {
    const rig = createRig();
    await rig.runFor(leaseMs + 2000);
    rig.mute("b");
    rig.stop("b");
    await rig.runFor(2000);

    rig.jump(60_000);
    await rig.runFor(2000);
    rig.stop("b", false);
    await rig.runFor(leaseMs);

    expect(rig.dead).toEqual([]);
  });

  // As a store shows them that they have left in a split, before it stops to take writes.
  test.each([1, 2])("of two nodes %d fall silent, and count for a lease more", async (count) => {
    const gone = ["b", "c"].slice(0, count);
    const rig = createRig();
    await rig.runFor(10_000);
    for (const name of gone) rig.stop(name);

    await rig.runFor(leaseMs);
    expect(rig.heart.others).toBe(2);
    await rig.runFor(times.suspectMs + 2 * times.pulseMs);

    expect(rig.heart.others).toBe(2 - gone.length);
  });

  test("how long the store was reached is told, and not across a gap", async () => {
    const rig = createRig();
    await rig.runFor(10_000);
    expect(rig.heart.steadyMs()).toBeGreaterThan(8000);
    expect(rig.heart.others).toBe(2);

    rig.setAway(true);
    await rig.runFor(times.suspectMs + times.pulseMs);
    expect(rig.heart.steadyMs()).toBe(0);
    expect(rig.heart.silentMs()).toBeGreaterThan(times.suspectMs);
    rig.setAway(false);
    await rig.runFor(3000);

    expect(rig.heart.steadyMs()).toBeLessThanOrEqual(3000);
  });
});

/** The heart of "me", and two other nodes, whose hearts beat until they are stopped. */
function createRig() {
  const made = createTestNode();
  const { clock } = made;
  let aheadMs = 0;
  let isAway = false;
  const stopped = new Set<string>();
  const muted = new Set<string>();
  const asked: string[] = [];
  const dead: string[] = [];
  const ledger = createMemoryLedger({ now: () => clock.now() + aheadMs });
  const reached = async <T>(call: () => Promise<T>): Promise<T> => {
    if (isAway) throw new RegistryUnavailable("timeout");
    return call();
  };
  const guarded: NodeLedger = {
    ...ledger,
    pulse: (...args) => reached(() => ledger.pulse(...args)),
    claim: (...args) => reached(() => ledger.claim(...args)),
  };
  const bus = {
    ...made.node.bus,
    async ask(node: string) {
      asked.push(node);
      return muted.has(node) ? [] : [{ node, reachingMs: 1 }];
    },
  };
  const node = { ...made.node, id: "me", bus };
  const heart = createHeart(
    () => node,
    guarded,
    (name) => dead.push(name),
  );
  const tell = (set: Set<string>) => (name: string, isIn: boolean) =>
    void (isIn ? set.add(name) : set.delete(name));
  return {
    ...{ heart, asked, dead },
    stop: (name: string, isStopped = true) => tell(stopped)(name, isStopped),
    mute: (name: string, isMuted = true) => tell(muted)(name, isMuted),
    setAway(now: boolean) {
      isAway = now;
    },
    jump(ms: number) {
      aheadMs += ms;
    },
    async runFor(ms: number) {
      for (let left = ms; left > 0; left -= times.pulseMs) await step();
    },
    async runUntil(isSo: () => boolean) {
      for (let steps = 0; steps < 100 && !isSo(); steps++) await step();
      expect(isSo()).toBe(true);
    },
  };

  async function step(): Promise<void> {
    for (const name of ["b", "c"]) {
      if (!stopped.has(name) && !isAway) await ledger.pulse(name, times.suspectMs);
    }
    await heart.beat();
    await clock.advance(times.pulseMs);
  }
}
