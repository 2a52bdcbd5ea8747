import { describe, expect, test } from "bun:test";
import { createTestNode } from "../test/support/test-node.ts";
import { drainPeers } from "./drain.ts";
import { Peer } from "./peer.ts";

const handshake = { version: 1, codec: 1, platform: 9, reserve: 0 } as const;

async function drainMany(count: number, windowMs: number) {
  const made = createTestNode({ EDGE_DRAIN_WINDOW_MS: windowMs });
  const closedAtMs = new Map<string, number>();
  for (let index = 0; index < count; index++) {
    const connection = made.connect("tcp");
    const peer = new Peer(made.node, connection, handshake);
    connection.end = () => void closedAtMs.set(peer.id, made.clock.monotonic());
  }
  const drained = drainPeers(made.node);
  await made.clock.advance(windowMs + 100);
  await drained;
  return [...closedAtMs];
}

describe("drainPeers", () => {
  test("closes are spread evenly over the window", async () => {
    const closes = await drainMany(1000, 20_000);

    const moments = closes.map(([, ms]) => ms).sort((a, b) => a - b);
    expect(moments.length).toBe(1000);
    for (let part = 1; part <= 10; part++) {
      const count = moments.filter((ms) => ms < part * 2000).length;
      expect(count).toBeWithin(part * 100 - 5, part * 100 + 6);
    }
  });

  test("no tick closes a crowd", async () => {
    const closes = await drainMany(1000, 20_000);
    const perTick = new Map<number, number>();

    for (const [, ms] of closes) perTick.set(ms, (perTick.get(ms) ?? 0) + 1);

    expect(Math.max(...perTick.values())).toBeLessThan(6); // 50 a second, twenty ticks in each
  });

  test("order is random: the oldest are not all first", async () => {
    const closes = await drainMany(200, 10_000);

    const ids = closes.map(([id]) => Number.parseInt(id, 36));

    expect(ids).not.toEqual(ids.toSorted((a, b) => a - b));
    expect(ids.slice(0, 100).filter((id) => id > 100).length).toBeWithin(20, 80);
  });

  test("window of 0 closes everybody at once", async () => {
    const closes = await drainMany(50, 0);

    expect(closes.every(([, ms]) => ms < 100)).toBe(true);
    expect(closes.length).toBe(50);
  });

  test("node without peers is drained at once", async () => {
    expect(await drainMany(0, 10_000)).toEqual([]);
  });

  test("whoever comes in while the others are closed is closed at the end", async () => {
    const made = createTestNode({ EDGE_DRAIN_WINDOW_MS: 1000 });
    for (let count = 0; count < 2; count++) {
      new Peer(made.node, made.connect("tcp"), handshake);
    }
    const drained = drainPeers(made.node);
    const late = made.connect("tcp");
    new Peer(made.node, late, handshake);

    await made.clock.advance(7000);
    await drained;

    expect(late.farewells).toHaveLength(1);
    expect(made.hub.peers.size).toBe(0);
  });
});
