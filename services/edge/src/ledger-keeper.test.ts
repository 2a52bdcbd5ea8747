/** The ledger of a node and those of the dead, with a clock of the test. */
import { describe, expect, test } from "bun:test";
import type { Notice } from "@holdfast/cluster";
import {
  createMemoryLedger,
  type NodeLedger,
  type Reaped,
  RegistryUnavailable,
} from "@holdfast/session";
import { createSession, createTestNode } from "../test/support/test-node.ts";
import { createLedgerKeeper } from "./ledger-keeper.ts";
import { begin, enter, Peer } from "./peer.ts";

const renewMs = 5000;
const leaseMs = 45_000;
const handshake = { version: 1, codec: 1, platform: 9, reserve: 0 } as const;
const mine = createSession("alice").tag;
const seat = { node: "dead-1", connection: "4k", sid: "s", generation: 7 };

describe("createLedgerKeeper: the ledger of its own node", () => {
  test("seat that was taken is written down with the turn, and struck later", async () => {
    const rig = createRig();
    const peer = rig.logIn();

    rig.keeper.taken(mine);
    await turn();
    expect(await rig.drawn()).toEqual([mine]);
    await rig.pass();
    expect(await rig.drawn()).toEqual([mine]);
    rig.hub.remove(peer);
    await rig.pass();

    expect(await rig.drawn()).toEqual([]);
  });

  test("ledger that the store lost is written anew", async () => {
    const rig = createRig();
    rig.logIn();
    await rig.pass();
    await rig.ledger.note(rig.node.id, { added: ["stray"], removed: [mine] });
    await rig.ledger.note(rig.node.id, { added: ["other"], removed: [] });

    await rig.pass();

    expect(await rig.drawn()).toEqual([mine]);
  });

  test("what could not be written is written when the store is back", async () => {
    const rig = createRig();
    rig.logIn();
    rig.setAway(true);
    rig.keeper.taken(mine);
    await turn();
    await rig.pass();
    expect(await rig.drawn()).toEqual([]);

    rig.setAway(false);
    await rig.pass();

    expect(await rig.drawn()).toEqual([mine]);
    expect(await rig.metric('holdfast_exceptions_total{where="redis"}')).toBeNaN();
  });

  test("node that ends is taken out, and says nothing any more", async () => {
    const rig = createRig();
    rig.logIn();
    await rig.pass();

    await rig.keeper.end();
    rig.keeper.taken("another");
    await turn();
    await rig.pass();

    expect(await rig.drawn()).toEqual([]);
    await rig.clock.advance(2 * leaseMs);
    expect((await rig.ledger.beat("other", leaseMs)).silent).toEqual([]);
  });
});

describe("createLedgerKeeper: a node that died", () => {
  test("its seats are told after a lease and a renewal, once, and it is forgotten", async () => {
    const rig = createRig();
    await rig.die();

    await rig.passFor(leaseMs);
    expect(rig.told).toEqual([]);
    await rig.passFor(3 * renewMs);

    const { node, connection, sid, generation } = seat;
    expect(rig.told).toEqual([
      {
        ...{ kind: "lapsed", tag: "gone", account: "anna", sid, generation },
        ...{ seat: { node, connection }, reason: "", atMs: expect.any(Number) },
      },
    ]);
    expect(await rig.metric('holdfast_seats_lapsed_total{cause="lapsed"}')).toBe(1);
    expect((await rig.ledger.beat("other", 2 * renewMs)).silent).toEqual([]);
  });

  test("its ledger stays while a lease runs or the store cannot say", async () => {
    const rig = createRig();
    await rig.die();
    rig.setReaped({ account: "", lapsed: [], left: 1 });
    await rig.passFor(leaseMs + 3 * renewMs);
    rig.setReaped(null);
    await rig.passFor(renewMs);
    expect(await rig.ledger.draw("dead-1", 10)).toEqual(["gone"]);

    rig.setReaped({ account: "anna", lapsed: [seat], left: 0 });
    await rig.passFor(renewMs);

    expect(rig.told).toHaveLength(1);
    expect(await rig.ledger.draw("dead-1", 10)).toEqual([]);
  });

  test("observer that was cut off holds nobody for dead until a lease later", async () => {
    const rig = createRig();
    await rig.die();
    await rig.passFor(leaseMs - renewMs);
    rig.setAway(true);
    await rig.passFor(leaseMs);
    rig.setAway(false);

    await rig.passFor(leaseMs);
    expect(rig.told).toEqual([]);
    await rig.passFor(2 * renewMs);
    expect(rig.told).toHaveLength(1);
  });

  test("clock of the store that jumps ahead kills nobody", async () => {
    const rig = createRig();
    await rig.die();
    await rig.passFor(leaseMs - renewMs);

    rig.jump(10 * leaseMs);
    await rig.passFor(leaseMs);
    expect(rig.told).toEqual([]);
    await rig.ledger.beat("dead-1", leaseMs); // it was alive all the time
    await rig.passFor(leaseMs);

    expect(rig.told).toEqual([]);
  });
});

function createRig() {
  const made = createTestNode();
  const { node, hub, clock } = made;
  const told: Notice[] = [];
  let reaped: Reaped | null = { account: "anna", lapsed: [seat], left: 0 };
  let isAway = false;
  let aheadMs = 0;
  const ledger = createMemoryLedger({ now: () => clock.now() + aheadMs });
  const guarded: NodeLedger = {
    beat: (...args) => reached(() => ledger.beat(...args)),
    pulse: (...args) => reached(() => ledger.pulse(...args)),
    claim: (...args) => reached(() => ledger.claim(...args)),
    note: (...args) => reached(() => ledger.note(...args)),
    draw: (...args) => reached(() => ledger.draw(...args)),
    forget: (...args) => reached(() => ledger.forget(...args)),
  };
  const registry = {
    ...node.registry,
    async reap() {
      if (reaped === null) throw new RegistryUnavailable("timeout");
      return reaped;
    },
  };
  const bus = { ...node.bus, notify: (notice: Notice) => told.push(notice) > 0 };
  const keeper = createLedgerKeeper(() => ({ ...node, registry, bus }), guarded);
  const pass = async () => {
    await keeper.pass();
    await turn(); // what it does for the dead it does beside
  };
  return {
    ...{ ...made, ledger, keeper, told, pass },
    drawn: () => ledger.draw(node.id, 10),
    logIn() {
      const peer = new Peer(node, made.connect("tcp"), handshake);
      begin(peer);
      enter(peer, createSession("alice"));
      expect(hub.peers.has(peer.id)).toBe(true);
      return peer;
    },
    /** Another node has said for the last time that it lives. */
    async die() {
      await ledger.beat("dead-1", leaseMs);
      await ledger.note("dead-1", { added: ["gone"], removed: [] });
    },
    async passFor(ms: number) {
      for (let left = ms; left > 0; left -= renewMs) {
        await pass();
        await clock.advance(renewMs);
      }
    },
    setReaped(now: Reaped | null) {
      reaped = now;
    },
    setAway(now: boolean) {
      isAway = now;
    },
    jump(ms: number) {
      aheadMs += ms;
    },
  };

  async function reached<T>(call: () => Promise<T>): Promise<T> {
    if (isAway) throw new RegistryUnavailable("timeout");
    return call();
  }
}

/** Until everything that was put off to the end of this turn has run. */
async function turn(): Promise<void> {
  for (let step = 0; step < 20; step++) await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
}
