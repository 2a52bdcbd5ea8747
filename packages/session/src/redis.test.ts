/** The registry on one real Redis obeys the contract. */
import { afterAll, beforeAll } from "bun:test";
import { type Server, startRedis } from "@holdfast/servers";
import { registryContract } from "./contract.ts";
import { connectRedis, type RedisConnection } from "./redis.ts";
import { createRedisWorld } from "./redis-world.ts";

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

registryContract("createRedisRegistry", async (settings) => createRedisWorld(redis, settings));
