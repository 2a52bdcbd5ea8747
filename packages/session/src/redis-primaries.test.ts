/** What a connection tells of its primaries: that they write unheard, or are others than before. */
import { describe, expect, test } from "bun:test";
import { startRedis, startRedisSentinel } from "@holdfast/servers";
import { ask } from "../test/failover.ts";
import { connectRedis } from "./redis.ts";

describe("onUnguarded", () => {
  test("a Sentinel primary is told of at the start, and when it asks for a replica", async () => {
    await using servers = await startRedisSentinel();
    const told: number[] = [];
    const { promise: changed, resolve } = Promise.withResolvers<void>();
    const redis = await connectRedis({
      url: servers.url,
      onUnguarded(primaries) {
        told.push(primaries);
        if (primaries === 0) resolve();
      },
    });
    expect(told).toEqual([1]);

    await ask(servers.nodes[0]!, "CONFIG SET min-replicas-to-write 1"); // a pair

    await changed;
    expect(told).toEqual([1, 0]);
    await redis.close();
  }, 30_000);

  test("a single Redis need not have a replica", async () => {
    await using server = await startRedis();
    const told: number[] = [];

    const redis = await connectRedis({ url: server.url, onUnguarded: (one) => told.push(one) });

    expect(told).toEqual([]);
    await redis.close();
  });
});

describe("onEpochChange", () => {
  test("a restart of Redis is told of once, and its start not", async () => {
    await using server = await startRedis();
    let changes = 0;
    const { promise: changed, resolve } = Promise.withResolvers<void>();
    const redis = await connectRedis({
      url: server.url,
      onEpochChange() {
        changes++;
        resolve();
      },
    });
    expect(changes).toBe(0);

    await server.restart();

    await changed;
    expect(changes).toBe(1);
    await redis.close();
  }, 30_000);
});
