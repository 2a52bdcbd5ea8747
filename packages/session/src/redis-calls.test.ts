/**
 * Goal: calls that were given up and run late do no harm, in whatever order they reach Redis. How:
 * the scripts are sent as a node would have sent them, in the order that a reconnect can make.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Server, startRedis } from "@holdfast/servers";
import { identity, letIn, present } from "./contract-world.ts";
import { hashOf, parseToken } from "./identifiers.ts";
import { connectRedis, createRedisRegistry, type RedisConnection } from "./redis.ts";
import { loadScripts } from "./scripts.ts";
import { defaultRegistrySettings, type SessionRegistry } from "./session.ts";

const scripts = loadScripts(defaultRegistrySettings);

let server: Server;
let redis: RedisConnection;
let registry: SessionRegistry;

beforeAll(async () => {
  server = await startRedis();
  redis = await connectRedis({ url: server.url });
  registry = createRedisRegistry({ redis });
});

afterAll(async () => {
  await redis.close();
  await server.stop();
});

/** A token, and the login and leave of one connection with a call's number. */
async function open(account: string) {
  const { token } = await registry.issue(identity(account), 60_000);
  const presented = present(token);
  const { seat, sid, secret } = presented;
  const { tag, secret: tokenSecret } = parseToken(token)!; // just issued
  const key = `hf:{${tag}}:account`;
  const place = [seat.node, seat.connection];
  const login = (call: number) => {
    const args = [hashOf(tokenSecret), sid, hashOf(secret), ...place, String(call), "{}", ""];
    return redis.run(scripts.login, [key], args);
  };
  const leaveBehind = (call: number) =>
    redis.run(scripts.leave, [key], [sid, ...place, String(call)]);
  const online = async () => (await registry.issue(identity(account), 1000)).online;
  return { token, presented, login, leaveBehind, online };
}

describe("a leave behind a call", () => {
  test("it frees the seat of its own call", async () => {
    const world = await open("own");
    await world.login(7);

    await world.leaveBehind(7);

    expect(await world.online()).toBe(0);
  });

  test("it frees the seat of an earlier call that a repeated one did not reach", async () => {
    const world = await open("earlier");
    await world.login(7);

    await world.leaveBehind(8);

    expect(await world.online()).toBe(0);
  });

  test("it does not free a seat that a later call has confirmed", async () => {
    const world = await open("later");
    await world.login(7);
    await world.login(8);

    await world.leaveBehind(7);

    expect(await world.online()).toBe(1);
  });

  test("a call that overtook the given up one keeps its seat against both", async () => {
    const world = await open("overtaken");
    await world.login(8);
    await world.login(7); // runs late, and changes nothing

    await world.leaveBehind(7);

    expect(await world.online()).toBe(1);
  });

  test("a seat that was freed by it is put back by the renewal of whoever holds it", async () => {
    const world = await open("renewed");
    const presented = world.presented;
    const client = letIn(await registry.login(world.token, presented), presented);
    await world.leaveBehind(1_000_000);
    expect(await world.online()).toBe(0);

    expect(await registry.renew([client.holding])).toEqual(["held"]);

    expect(await world.online()).toBe(1);
    await world.leaveBehind(1_000_000); // arrives again
    expect(await world.online()).toBe(1);
  });
});
