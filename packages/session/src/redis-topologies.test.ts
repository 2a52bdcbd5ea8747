/**
 * The registry on a Cluster of three and three and under Sentinel: it obeys the contract, and after
 * a primary has died or hung it goes on by itself. Failovers need no arrangement here beyond the
 * signal: both topologies are ready only when a replica could take over.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  type RedisTopology,
  type Server,
  startRedisCluster,
  startRedisSentinel,
} from "@holdfast/servers";
import { registryContract } from "./contract.ts";
import { identity, isClaim, letIn, present } from "./contract-world.ts";
import { connectRedis, createRedisRegistry, type RedisConnection } from "./redis.ts";
import { createRedisWorld, untilReplicated } from "./redis-world.ts";
import { RegistryUnavailable, type SessionRegistry } from "./session.ts";

const FAILOVER_MS_MAX = 15_000;
const ANSWER_MS_MAX = 1_000;

const topologies = { Cluster: startRedisCluster, Sentinel: startRedisSentinel };

for (const [name, start] of Object.entries(topologies)) {
  describe(`createRedisRegistry on ${name}`, () => {
    let servers: RedisTopology;
    let redis: RedisConnection;

    beforeAll(async () => {
      servers = await start();
      redis = await connectRedis({ url: servers.url });
    });

    afterAll(async () => {
      await redis.close();
      await servers.stop();
    });

    registryContract(name, async (settings) => createRedisWorld(redis, settings));
  });

  describe(`failover on ${name}`, () => {
    test.each(["SIGKILL", "SIGSTOP"] as const)(
      "after a %s of a primary sessions go on and tokens of before are refused",
      async (signal) => {
        await using servers = await start();
        const redis = await connectRedis({ url: servers.url });
        const registry = createRedisRegistry({ redis });
        const account = "anna";
        const victim = await primaryOf(servers, registry, account);
        const { token } = await registry.issue(identity(account), 60_000);
        const unused = (await registry.issue(identity(account), 60_000)).token;
        const presented = present(token);
        const { claim } = letIn(await registry.login(token, presented), presented);
        await untilReplicated({ url: victim.url }); // a loss would be another test

        victim.signal(signal);
        await untilItAnswers(registry, account);

        expect(await registry.login(unused, present(unused))).toBe("epoch");
        expect(isClaim(await registry.resume(claim.sessionId, present(claim.sessionId)))).toBe(
          true,
        );
        victim.signal("SIGCONT");
        await redis.close();
      },
      60_000,
    );
  });
}

/** The node whose keys grow when the account gets a token. */
async function primaryOf(
  servers: RedisTopology,
  registry: SessionRegistry,
  account: string,
): Promise<Server> {
  const candidates =
    servers.sentinels.length > 0 ? servers.nodes.slice(0, 1) : servers.nodes.slice(0, 3);
  await registry.issue(identity(account), 60_000);
  for (const server of candidates) {
    const lone = await connectRedis({ url: server.url });
    const size = await lone.run(
      { name: "size", source: "return redis.call('DBSIZE')", sha: "0".repeat(40) },
      [],
      [],
    );
    await lone.close();
    if (size !== 0) return server;
  }
  throw new Error("Cannot find the primary of the account");
}

/** Asks again and again; meanwhile every answer must come in time, and be the right kind of no. */
async function untilItAnswers(registry: SessionRegistry, account: string): Promise<void> {
  const startedMs = performance.now();
  for (;;) {
    const askedMs = performance.now();
    try {
      await registry.issue(identity(account), 60_000);
      return;
    } catch (error) {
      expect(error).toBeInstanceOf(RegistryUnavailable);
      expect(performance.now() - askedMs).toBeLessThan(ANSWER_MS_MAX);
      if (performance.now() - startedMs > FAILOVER_MS_MAX) throw error;
      await Bun.sleep(50);
    }
  }
}
