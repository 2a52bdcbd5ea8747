/**
 * The registry on a Cluster of three and three and under Sentinel: it obeys the contract, and after
 * a primary has died or hung it goes on by itself. Failovers need no arrangement here beyond the
 * signal: both topologies are ready only when a replica could take over.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type RedisTopology, startRedisCluster, startRedisSentinel } from "@holdfast/servers";
import { inStep, pairOf, untilItAnswers } from "../test/failover.ts";
import { registryContract } from "./contract.ts";
import { identity, isClaim, letIn, present } from "./contract-world.ts";
import { connectRedis, createRedisRegistry, type RedisConnection } from "./redis.ts";
import { createRedisWorld } from "./redis-world.ts";

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
}

// Side by side: most of a failover is waiting for it.
for (const [name, start] of Object.entries(topologies)) {
  describe(`failover on ${name}`, () => {
    test.concurrent.each(["SIGKILL", "SIGSTOP"] as const)(
      "after a %s of a primary sessions go on and tokens of before are refused",
      async (signal) => {
        await using servers = await start();
        const redis = await connectRedis({ url: servers.url });
        const registry = createRedisRegistry({ redis });
        const account = "anna";
        const { token } = await registry.issue(identity(account), 60_000);
        const unused = (await registry.issue(identity(account), 60_000)).token;
        const presented = present(token);
        const { claim } = letIn(await registry.login(token, presented), presented);
        const pair = await pairOf(servers, account);
        await inStep(pair); // what is lost otherwise is another test's

        pair.primary.signal(signal);
        await untilItAnswers(registry, account);

        expect(await registry.login(unused, present(unused))).toBe("epoch");
        expect(isClaim(await registry.resume(claim.sessionId, present(claim.sessionId)))).toBe(
          true,
        );
        pair.primary.signal("SIGCONT");
        await redis.close();
      },
      60_000,
    );
  });
}
