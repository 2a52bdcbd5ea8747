import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Server, startRedis, startRedisCluster } from "@holdfast/servers";
import { createWorld } from "./contract-world.ts";
import {
  connectRedis,
  createRedisSweep,
  type LapsedSeat,
  type LapseSweep,
  type RedisConnection,
} from "./redis.ts";
import { createRedisWorld, toScript } from "./redis-world.ts";
import { RegistryUnavailable } from "./session.ts";

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

describe("createRedisSweep on Cluster", () => {
  test("walk looks at the accounts of all primaries", async () => {
    const servers = await startRedisCluster();
    const connection = await connectRedis({ url: servers.url });
    try {
      const { world, walk } = createRig(connection);
      const names = Array.from({ length: 60 }, (_, index) => `account-${index}`);
      await Promise.all(names.map((name) => world.login(name)));

      await world.advance(world.settings.firstLeaseMs + world.settings.leaseMs);
      const found = await walk();

      expect(found.map(({ account }) => account).toSorted()).toEqual(names.toSorted());
    } finally {
      await connection.close();
      await servers.stop();
    }
  });
});

describe("createRedisSweep", () => {
  test("seats that lapsed a lease ago are told once, and are gone", async () => {
    const { world, walk } = createRig();
    const a = await world.login("anna");
    const b = await world.login("bert Ä");
    await world.verdict(b); // a full lease from here

    await world.advance(world.settings.firstLeaseMs + world.settings.leaseMs - 1);
    expect(await walk()).toEqual([]);
    await world.advance(1);

    const { tag, sid, generation } = a.claim.session;
    const seat = a.holding.seat;
    expect(await walk()).toEqual([{ ...seat, sid, generation, tag, account: "anna" }]);
    expect(await walk()).toEqual([]);
    await world.advance(world.settings.leaseMs);
    expect((await walk()).map(({ account }) => account)).toEqual(["bert Ä"]);
  });

  test("seat whose node came back in time is not swept, and one that was is taken again", async () => {
    const { world, walk } = createRig();
    const a = await world.login("anna");
    await world.advance(world.settings.firstLeaseMs + world.settings.leaseMs - 1);
    await world.verdict(a);

    await world.advance(world.settings.leaseMs);
    expect(await walk()).toEqual([]);
    await world.advance(world.settings.leaseMs);
    expect(await walk()).toHaveLength(1);

    expect(await world.verdict(a)).toBe("held"); // absence is not loss
  });

  test("of 3,000 accounts each lapsed one is found within a walk", async () => {
    const { world, walk } = createRig();
    const names = Array.from({ length: 3000 }, (_, index) => `account-${index}`);
    await Promise.all(names.map((name) => world.login(name)));

    await world.advance(world.settings.firstLeaseMs + world.settings.leaseMs);
    const found = await walk();

    expect(found.map(({ account }) => account).toSorted()).toEqual(names.toSorted());
  });

  test("one node walks, and another when that one has given up", async () => {
    const { walk, walkAs, endTurn, world } = createRig();
    await world.login("anna");
    await world.advance(world.settings.firstLeaseMs + world.settings.leaseMs);
    await walkAs("other", 1);

    expect(await walk()).toEqual([]);
    await endTurn();
    expect(await walk()).toHaveLength(1);
  });

  test("what was found is told, though another account could not be asked", async () => {
    const { world, timed, sweepOver } = createRig();
    const names = ["anna", "bert", "cleo"];
    for (const name of names) await world.login(name);
    await world.advance(world.settings.firstLeaseMs + world.settings.leaseMs);
    let asked = 0;
    const flaky: typeof timed = {
      ...timed,
      run(script, keys, args) {
        const fails = script.name === "sweep" && ++asked === 2;
        return fails ? Promise.reject(new Error("cut")) : timed.run(script, keys, args);
      },
    };

    const found: LapsedSeat[] = [];
    const sweep = sweepOver(flaky);
    for (let step = 0; step < 60; step++) found.push(...(await sweep.step().catch(() => [])));

    expect(asked).toBeGreaterThanOrEqual(4); // the next walk came by again
    expect(found.map(({ account }) => account).toSorted()).toEqual(names);
  });

  test("Redis that is away is said to be", async () => {
    const away = { ...redis, scan: () => Promise.reject(new Error("Connection is closed.")) };
    const { settings } = createRig().world;
    const sweep = createRedisSweep({ redis: away, settings, node: "a" });

    const error = await sweep.step().then(
      () => null,
      (reason: unknown) => reason,
    );

    expect(error).toBeInstanceOf(RegistryUnavailable);
  });
});

function createRig(connection = redis) {
  const subject = createRedisWorld(connection);
  const world = createWorld(subject);
  const { timed, settings, prefix, scripts } = subject; // by the clock of the test
  const sweepOf = (node: string, over = timed) =>
    createRedisSweep({ redis: over, settings, node, prefix, scripts });
  const ours = sweepOf("ours");
  return {
    world,
    timed,
    sweepOver: (over: typeof timed) => sweepOf("ours", over),
    /** As many steps as one walk over these servers may need. */
    walk: () => walkWith(ours, 60),
    walkAs: (node: string, steps: number) => walkWith(sweepOf(node), steps),
    endTurn: () => timed.run(toScript("redis.call('DEL', KEYS[1])"), [`${prefix}:sweep-turn`], []),
  };

  async function walkWith(sweep: LapseSweep, steps: number): Promise<LapsedSeat[]> {
    const found: LapsedSeat[] = [];
    for (let step = 0; step < steps; step++) found.push(...(await sweep.step()));
    return found;
  }
}
