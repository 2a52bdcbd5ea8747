/** Passes over the seats of a node, and what they say of its reach to the store. */
import { describe, expect, test } from "bun:test";
import { createMemoryLedger, RegistryUnavailable, type Verdict } from "@holdfast/session";
import { createSession, createTestNode } from "../test/support/test-node.ts";
import type { EdgeNode } from "./node.ts";
import { begin, enter, Peer } from "./peer.ts";
import { createSeats } from "./seats.ts";

const handshake = { version: 1, codec: 1, platform: 9, reserve: 0 } as const;

describe("createSeats: renew", () => {
  test("seat that was found knows since when, and how long its lease surely runs", async () => {
    const rig = createRig();
    const peer = rig.logIn();
    expect(heldBy(peer)).toMatchObject({ verifiedMs: 0, termMs: 10_000 });
    await rig.clock.advance(3000);

    await rig.seats.renew();

    expect(heldBy(peer)).toMatchObject({ verifiedMs: 3000, termMs: 41_000 });
    expect([rig.seats.isCut(), rig.seats.attemptedMs]).toEqual([false, 3000]);
  });

  test("store that gives no verdict changes nothing, and is not asked for the rest", async () => {
    const rig = createRig();
    const peers = Array.from({ length: 1500 }, () => rig.logIn());
    rig.setVerdict(() => null);
    await rig.clock.advance(3000);

    await rig.seats.renew();

    expect(rig.asked).toEqual([1024]);
    expect(heldBy(peers[0]!)).toMatchObject({ verifiedMs: 0, termMs: 10_000 });
    expect([rig.seats.isCut(), rig.seats.renewedAtMs]).toEqual([true, 0]);
    rig.setVerdict(() => "held");
    await rig.seats.renew();
    expect(rig.asked).toEqual([1024, 1024, 476]);
    expect(rig.seats.isCut()).toBe(false);
  });

  test("seat without a verdict makes no pass whole, and the others have theirs", async () => {
    const rig = createRig();
    const peers = Array.from({ length: 3 }, () => rig.logIn());
    rig.setVerdict((at) => (["held", null, "displaced"] as const)[at] ?? null);

    await rig.seats.renew();

    expect(peers.map(({ phase }) => phase.at)).toEqual(["open", "open", "closed"]);
    expect(rig.seats.isCut()).toBe(true);
  });

  test("passes that overlap are one", async () => {
    const rig = createRig();
    rig.logIn();

    await Promise.all([rig.seats.renew(), rig.seats.renew(), rig.seats.renew()]);

    expect(rig.asked).toEqual([1]);
  });
});

describe("createSeats: what it witnesses", () => {
  test("it reaches the store as long as both its heart and its passes did", async () => {
    const rig = createRig();
    expect(rig.seats.reachingMs()).toBe(0);
    await rig.beat(20);
    await rig.seats.renew();
    await rig.beat(5);

    expect(rig.seats.reachingMs()).toBe(5000);
  });

  test("it does not when its last pulse is old, before it takes itself for cut off", async () => {
    const rig = createRig();
    await rig.seats.renew();
    await rig.beat(5);
    rig.setAway(true);

    await rig.clock.advance(1500);
    expect(rig.seats.reachingMs()).toBeGreaterThan(0);
    await rig.clock.advance(1);
    expect(rig.seats.reachingMs()).toBe(0);
    expect(rig.seats.isSilent()).toBe(false);
    await rig.clock.advance(1500);

    expect([rig.seats.isSilent(), rig.seats.isCut()]).toEqual([true, true]);
  });

  test("it does not when its last pass missed more than a few verdicts", async () => {
    const rig = createRig();
    for (let count = 0; count < 20; count++) rig.logIn();
    await rig.seats.renew();
    await rig.beat(5);

    rig.setVerdict((at) => (at < 1 ? null : "held"));
    await rig.seats.renew();
    expect(rig.seats.reachingMs()).toBeGreaterThan(0);
    rig.setVerdict((at) => (at < 2 ? null : "held"));
    await rig.seats.renew();

    expect(rig.seats.reachingMs()).toBe(0);
  });
});

function heldBy({ phase }: Peer) {
  return phase.at === "open" ? phase.held : null;
}

/** A node whose registry says what the test wants. */
function createRig() {
  const made = createTestNode();
  const { clock } = made;
  const asked: number[] = [];
  let verdictOf: (at: number) => Verdict | null = () => "held";
  let isAway = false;
  const memory = createMemoryLedger(clock);
  const ledger: typeof memory = {
    ...memory,
    async pulse(...args) {
      if (isAway) throw new RegistryUnavailable("timeout");
      return memory.pulse(...args);
    },
  };
  const registry: EdgeNode["registry"] = {
    ...made.node.registry,
    async renew(holdings) {
      if (holdings.length > 0) asked.push(holdings.length);
      return holdings.map((_, at) => verdictOf(at));
    },
  };
  const node: EdgeNode = { ...made.node, registry };
  const seats = createSeats(() => node, ledger);
  return {
    ...{ clock, seats, asked },
    logIn(): Peer {
      const peer = new Peer(made.node, made.connect("tcp"), handshake);
      begin(peer);
      enter(peer, createSession("alice"));
      return peer;
    },
    /** Each second, so often. */
    async beat(times: number) {
      for (let time = 0; time < times; time++) {
        await clock.advance(1000);
        await seats.pulse();
      }
    },
    setVerdict(now: (at: number) => Verdict | null) {
      verdictOf = now;
    },
    setAway(now: boolean) {
      isAway = now;
    },
  };
}
