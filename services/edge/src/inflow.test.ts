import { describe, expect, test } from "bun:test";
import { createManualClock, createMetrics } from "@holdfast/runtime";
import {
  createInflow,
  type InflowSettings,
  isBehind,
  largeChunkBytes,
  packetsPerTurn,
  strangersPerTurn,
} from "./inflow.ts";
import { createEdgeMetrics } from "./metrics.ts";
import type { Peer } from "./peer.ts";

const settings: InflowSettings = {
  inboundBytesPerSecond: 1000,
  inboundBytesBurst: 3000,
  inboundPacketsPerSecond: 10,
  inboundPacketsBurst: 40,
};

/** Peers of which only what belongs to the inflow is there; turns are taken by hand. */
function createRig(some: Partial<InflowSettings> = {}) {
  const clock = createManualClock();
  const metrics = createMetrics();
  metrics.stop();
  const turns: (() => void)[] = [];
  const readOn: Peer[] = [];
  const waitingPackets = new Map<Peer, number>();
  const inflow = createInflow({
    ...{ settings: { ...settings, ...some }, metrics: createEdgeMetrics(metrics) },
    now: () => clock.monotonic(),
    nextTurn: (act) => void turns.push(act),
    readOn(peer) {
      readOn.push(peer);
      inflow.begin(peer, 0);
      let left = waitingPackets.get(peer) ?? 0;
      for (; left > 0 && !peer.isWaiting; left--) inflow.packet(peer);
      waitingPackets.set(peer, left);
      inflow.end(peer, 0);
    },
  });
  return {
    inflow,
    clock,
    readOn,
    waitingPackets,
    connect(at: "open" | "login" = "open") {
      const all = Number.POSITIVE_INFINITY;
      const connection = { transport: "tcp", pauses: 0, pause: () => connection.pauses++ };
      return {
        ...{ byteTokens: all, packetTokens: all, inflowMs: 0, packetsLeft: all },
        ...{ isWaiting: false, phase: { at }, connection },
      } as unknown as Peer & { phase: { at: string }; connection: { pauses: number } };
    },
    receive(peer: Peer, bytes: number, packets = 0) {
      inflow.begin(peer, bytes);
      for (let left = packets; left > 0 && !peer.isWaiting; left--) inflow.packet(peer);
      inflow.end(peer, bytes);
    },
    turn() {
      for (const act of turns.splice(0)) act();
    },
    async pass(ms: number) {
      await clock.advance(ms);
      inflow.tick(clock.monotonic());
    },
    paused: async (limit: string) =>
      (await metrics.text()).match(
        new RegExp(`paused_total{transport="tcp",limit="${limit}"} (\\d+)`),
      )?.[1],
  };
}

describe("createInflow", () => {
  test("burst of bytes is read to the byte, one more pauses the socket until it is paid", async () => {
    const rig = createRig();
    const [exact, more] = [rig.connect(), rig.connect()];

    rig.receive(exact, 3000);
    rig.receive(more, 3001);

    expect([exact.isWaiting, more.isWaiting]).toEqual([false, true]);
    expect(more.connection.pauses).toBe(1);
    expect(rig.inflow.paused).toBe(1);
    expect(await rig.paused("bytes")).toBe("1");
    await rig.pass(25); // a millisecond, in slots of 25
    rig.turn();
    expect(more.isWaiting).toBe(false);
    expect(rig.inflow.paused).toBe(0);
  });

  test("burst of packets is handled, after one more the rest waits for a token", async () => {
    const rig = createRig();
    const [exact, more] = [rig.connect(), rig.connect()];

    rig.receive(exact, 0, 40);
    rig.receive(more, 0, 41);

    expect([exact.isWaiting, more.isWaiting]).toEqual([false, true]);
    expect(await rig.paused("packets")).toBe("1");
    await rig.pass(175); // it owes one, and needs one: 200 ms
    rig.turn();
    expect(more.isWaiting).toBe(true);
    await rig.pass(25);
    rig.turn();
    expect(more.isWaiting).toBe(false);
  });

  test("rate goes on for ever, a rest fills the buckets no further than the burst", async () => {
    const rig = createRig();
    const peer = rig.connect();
    rig.receive(peer, 3000);

    for (let second = 0; second < 10; second++) {
      await rig.pass(1000);
      rig.receive(peer, 1000, 10);
    }
    expect(peer.isWaiting).toBe(false);
    await rig.pass(3_600_000);
    rig.receive(peer, 3001);

    expect(peer.isWaiting).toBe(true);
  });

  test("whoever has not logged in has an eighth, and all of it from then on", () => {
    const rig = createRig();
    const [exact, more] = [rig.connect("login"), rig.connect("login")];

    rig.receive(exact, 375, 5);
    rig.receive(more, 376);

    expect([exact.isWaiting, more.isWaiting]).toEqual([false, true]);
    exact.phase = { at: "open" } as never;
    rig.inflow.entered(exact);
    rig.receive(exact, 3000, 40);
    expect(exact.isWaiting).toBe(false);
  });

  test("rates of 0 are no limit, but a turn is one all the same", async () => {
    const rig = createRig({ inboundBytesPerSecond: 0, inboundPacketsPerSecond: 0 });
    const peer = rig.connect();

    rig.receive(peer, 1e4, packetsPerTurn);
    expect(peer.isWaiting).toBe(false);
    rig.receive(peer, 1e4, packetsPerTurn + 1);

    expect(peer.isWaiting).toBe(true);
    expect(rig.inflow.paused).toBe(0);
    rig.turn();
    expect(peer.isWaiting).toBe(false);
    expect(await rig.paused("packets")).toBe("0");
  });

  test("fragments take no token, and have their turn", () => {
    const rig = createRig();
    const peer = rig.connect();

    for (let turn = 0; turn < 10; turn++) {
      rig.inflow.begin(peer, 0);
      for (let count = 0; count < 40; count++) rig.inflow.fragment(peer);
      expect(peer.isWaiting).toBe(false);
      rig.inflow.fragment(peer);
      expect(peer.isWaiting).toBe(true);
      rig.turn();
    }

    expect(rig.readOn).toHaveLength(10);
    expect(rig.inflow.paused).toBe(0);
  });

  test("a turn has so many sockets, each has its turn, and whoever has more is last", () => {
    const rig = createRig({ inboundPacketsPerSecond: 0 });
    const peers = Array.from({ length: 20 }, () => rig.connect());
    for (const peer of peers) {
      rig.receive(peer, 0, packetsPerTurn + 1);
      rig.waitingPackets.set(peer, 2 * packetsPerTurn);
    }

    rig.turn();
    expect(rig.readOn).toEqual(peers.slice(0, 8)); // 64 packets each, and one to find more
    rig.turn();
    expect(rig.readOn.slice(8)).toEqual(peers.slice(8, 16));
    rig.turn();

    expect(rig.readOn.slice(16)).toEqual([...peers.slice(16), ...peers.slice(0, 4)]);
  });

  test("a turn reads on for two whose chunks are large, and a byte less is not", () => {
    const rig = createRig({ inboundBytesPerSecond: 0 });
    const peers = Array.from({ length: 5 }, () => rig.connect());
    const small = rig.connect();

    for (const peer of peers) rig.receive(peer, largeChunkBytes);
    rig.receive(small, largeChunkBytes - 1);
    expect([...peers, small].map(({ isWaiting }) => isWaiting)).toEqual([
      ...[true, true, true, true, true],
      false,
    ]);
    rig.turn();
    expect(rig.readOn).toEqual(peers.slice(0, 2));
    rig.turn();
    rig.turn();

    expect(rig.readOn).toEqual(peers);
    expect(rig.inflow.paused).toBe(0);
  });

  test("a turn hears so many strangers, the others in the order in which they came", () => {
    const rig = createRig();
    const strangers = Array.from({ length: 2 * strangersPerTurn + 1 }, () => rig.connect("login"));
    const known = rig.connect();

    for (const stranger of strangers) rig.receive(stranger, 10, 1);
    rig.receive(known, 10, 1);

    const waiting = () => strangers.filter(({ isWaiting }) => isWaiting);
    expect(waiting()).toEqual(strangers.slice(strangersPerTurn));
    expect(rig.inflow.strangersWaiting).toBe(strangersPerTurn + 1);
    expect(known.isWaiting).toBe(false);
    rig.turn();
    expect(rig.readOn).toEqual(strangers.slice(strangersPerTurn, 2 * strangersPerTurn));
    expect(rig.inflow.strangersWaiting).toBe(1);
    rig.turn();
    expect(waiting()).toEqual([]);
    expect(rig.inflow.strangersWaiting).toBe(0);
    expect(rig.inflow.paused).toBe(0);
  });

  test("as long as strangers wait nobody new goes ahead of them, and then a turn is a whole one", () => {
    const rig = createRig();
    const strangers = Array.from({ length: strangersPerTurn + 1 }, () => rig.connect("login"));
    for (const stranger of strangers) rig.receive(stranger, 10);

    const late = rig.connect("login");
    rig.receive(late, 10);
    expect(late.isWaiting).toBe(true);
    rig.turn();
    expect(rig.readOn).toEqual([...strangers.slice(strangersPerTurn), late]);
    rig.turn(); // nobody waits any more
    const next = Array.from({ length: strangersPerTurn + 1 }, () => rig.connect("login"));
    for (const stranger of next) rig.receive(stranger, 10);

    expect(next.filter(({ isWaiting }) => isWaiting)).toEqual(next.slice(strangersPerTurn));
  });

  test("strangers that have left take nobody's turn", () => {
    const rig = createRig();
    const strangers = Array.from({ length: 3 * strangersPerTurn }, () => rig.connect("login"));
    for (const stranger of strangers) rig.receive(stranger, 10);

    const leaving = strangers.slice(strangersPerTurn, 2 * strangersPerTurn);
    for (const stranger of leaving) stranger.phase = { at: "closed" } as never;
    rig.turn();

    expect(rig.readOn).toEqual(strangers.slice(2 * strangersPerTurn));
  });

  test("nobody reads on for a peer that has closed meanwhile", async () => {
    const rig = createRig();
    const peer = rig.connect();
    rig.receive(peer, 3100);

    peer.phase = { at: "closed" } as never;
    await rig.pass(1000);
    rig.turn();

    expect(rig.readOn).toEqual([]);
  });
});

describe("isBehind", () => {
  test("it may send no more than a turn takes", () => {
    const peer = (packetTokens: number) => ({ packetTokens }) as unknown as Peer;

    expect(isBehind(peer(packetsPerTurn - 1))).toBe(true);
    expect(isBehind(peer(packetsPerTurn))).toBe(false);
    expect(isBehind(peer(Number.POSITIVE_INFINITY))).toBe(false);
  });
});
