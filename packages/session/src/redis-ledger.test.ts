/** The ledgers on Redis where the data is damaged, or Redis is away. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Server, startRedis } from "@holdfast/servers";
import { connectRedis, createRedisLedger, type RedisConnection } from "./redis.ts";
import { createRedisTurn } from "./redis-turn.ts";
import { createRedisWorld, toScript } from "./redis-world.ts";
import { RegistryUnavailable } from "./session.ts";

const silentMs = 50_000;
let server: Server;
let redis: RedisConnection;

beforeAll(async () => {
  server = await startRedis();
  redis = await connectRedis({ url: server.url });
});
afterAll(async () => {
  await redis.close();
  await server.stop();
});

const command = toScript("return redis.call(unpack(ARGV))");

describe("createRedisLedger", () => {
  test("keys of a wrong type are replaced", async () => {
    const { ledger, prefix } = createRedisWorld(redis);
    const keys = [`${prefix}:nodes`, `${prefix}:pulses`, `${prefix}:ledger:a`] as const;
    for (const key of keys) await redis.run(command, [key], ["SET", key, "damaged"]);

    expect((await ledger.beat("a", silentMs)).silent).toEqual([]);
    expect(await ledger.claim("a", silentMs)).toBeNull();
    expect((await ledger.pulse("a", silentMs)).others).toBe(0);
    expect(await ledger.note("a", { added: ["x"], removed: [] })).toBe(1);
    expect(await ledger.draw("a", 10)).toEqual(["x"]);
  });

  test("node whose name is damaged is struck off", async () => {
    const { ledger, prefix } = createRedisWorld(redis);
    const key = `${prefix}:nodes`;
    await redis.run(command, [key], ["ZADD", key, "1", "a,b", "2", "}{", "3", "dead-1"]);

    expect((await ledger.beat("a", silentMs)).silent).toEqual(["dead-1"]);
    expect(await redis.run(command, [key], ["ZCARD", key])).toBe(2);
  });

  test("node that has spoken tomorrow is forgotten", async () => {
    const { ledger, prefix, now } = createRedisWorld(redis);
    await ledger.pulse("a", silentMs);
    await ledger.pulse("b", silentMs);
    const key = `${prefix}:pulses`;
    const damaged = ["+inf", "dead-1", String(now() + 60_001), "dead-2"];
    await redis.run(command, [key], ["ZADD", key, ...damaged, String(now() + 60_000), "ahead"]);

    expect(await ledger.pulse("a", silentMs)).toMatchObject({ others: 2, witness: "ahead" });
  });

  test("turn of a wrong type, or without an end, is nobody's", async () => {
    const key = `turn-${process.pid}:drain-turn`;
    for (const damaged of [
      ["RPUSH", key, "a"],
      ["SET", key, "a"],
    ]) {
      await redis.run(command, [key], ["DEL", key]);
      await redis.run(command, [key], damaged);
      const turn = createRedisTurn({ redis, prefix: `turn-${process.pid}` });

      expect(await turn.wait("b", 1000, 0)).toBe(true);
      expect(await turn.wait("c", 1000, 0)).toBe(false);
    }
  });

  test("all that is written expires", async () => {
    const { ledger, prefix } = createRedisWorld(redis);
    await ledger.beat("a", silentMs);
    await ledger.pulse("a", silentMs);
    await ledger.note("a", { added: ["x"], removed: [] });

    for (const key of [`${prefix}:nodes`, `${prefix}:pulses`, `${prefix}:ledger:a`]) {
      expect(await redis.run(command, [key], ["PTTL", key])).toBeGreaterThan(24 * 3_600_000);
    }
  });

  test("Redis that is away is said to be, and counted", async () => {
    const faults: string[] = [];
    const ledger = createRedisLedger({
      redis: { ...redis, run: () => Promise.reject(new Error("Connection is closed.")) },
      onFault: (stage) => faults.push(stage),
    });

    const error = await ledger.beat("a", silentMs).then(
      () => null,
      (reason: unknown) => reason,
    );

    expect(error).toBeInstanceOf(RegistryUnavailable);
    expect(faults).toEqual(["ledger"]);
  });
});
