/**
 * Goal: a call that its node has given up leaves no seat and no session behind, however late it
 * reaches Redis, and whether or not it ran. How: a Redis that stands still, and a proxy that holds
 * what is sent, throws the answers away, or breaks the connection after Redis has run the call.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { type RedisProxy, type Server, startRedis, startRedisProxy } from "@holdfast/servers";
import { type Client, identity, letIn, present } from "./contract-world.ts";
import { connectRedis, createRedisRegistry, type RedisConnection } from "./redis.ts";
import { RegistryUnavailable, type SessionRegistry, type StoreFault } from "./session.ts";

/** After so long Redis surely refuses what was sent before: a call has 0.9 s and a slack. */
const LATE_MS = 2_000;

interface Lab {
  readonly server: Server;
  readonly proxy: RedisProxy;
  /** Of a node behind the proxy. */
  readonly registry: SessionRegistry;
  readonly redis: RedisConnection;
  /** Of another node, which the proxy does not touch. */
  readonly other: SessionRegistry;
}

const stops: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function open(): Promise<Lab> {
  const server = await startRedis();
  stops.push(() => server.stop());
  const proxy = startRedisProxy(server);
  stops.push(async () => proxy[Symbol.asyncDispose]());
  const [redis, direct] = await Promise.all([
    connectRedis({ url: proxy.url }),
    connectRedis({ url: server.url }),
  ]);
  stops.push(() => Promise.all([redis.close(), direct.close()]));
  const registry = createRedisRegistry({ redis });
  return { server, proxy, redis, registry, other: createRedisRegistry({ redis: direct }) };
}

async function login(registry: SessionRegistry, account = "anna"): Promise<Client> {
  const { token } = await registry.issue(identity(account), 60_000);
  const presented = present(token);
  return letIn(await registry.login(token, presented), presented);
}

async function online(registry: SessionRegistry): Promise<number> {
  return (await registry.issue(identity("anna"), 1000)).online;
}

describe("a call that reaches Redis after it was given up", () => {
  test("login does not run when a frozen Redis wakes, and its token is still good", async () => {
    const { server, redis, registry, other } = await open();
    const { token } = await registry.issue(identity("anna"), 60_000);
    server.signal("SIGSTOP");
    const startedMs = performance.now();

    const fault = await faultOf(registry.login(token, present(token)));

    expect(fault).toBe("timeout");
    await passed(startedMs, LATE_MS);
    server.signal("SIGCONT");
    await until(async () => (await faultOf(other.issue(identity("bert"), 1000))) === null);
    await until(redis.ping); // so what was sent before has been run
    expect(await online(other)).toBe(0);
    const presented = present(token);
    expect(letIn(await other.login(token, presented), presented).claim.online).toBe(1);
  }, 20_000);

  test("resume does not run late, so the newer id of its session stays good", async () => {
    const { proxy, registry, other } = await open();
    const a = await login(registry);
    proxy.hold();
    const startedMs = performance.now();

    expect(await faultOf(registry.resume(a.claim.sessionId, present(a.claim.sessionId)))).toBe(
      "timeout",
    );
    const presented = present(a.claim.sessionId); // its client has gone elsewhere
    const b = letIn(await other.resume(a.claim.sessionId, presented), presented);
    await passed(startedMs, LATE_MS);
    proxy.release();
    await until(async () => (await faultOf(registry.issue(identity("bert"), 1000))) === null);

    expect(await other.renew([b.holding])).toEqual(["held"]);
    const c = await other.resume(b.claim.sessionId, present(b.claim.sessionId));
    expect(c).toMatchObject({ isAliasUsed: false, online: 1 });
  }, 20_000);

  test("resume that is asked again on its connection gets its answer", async () => {
    const { server, registry } = await open();
    const a = await login(registry);
    const presented = present(a.claim.sessionId);
    server.signal("SIGSTOP");
    const startedMs = performance.now();
    const ask = () => registry.resume(a.claim.sessionId, presented);
    expect(await faultOf(ask())).toBe("timeout");
    await passed(startedMs, LATE_MS);
    server.signal("SIGCONT");

    await until(async () => (await faultOf(ask())) === null);

    const again = letIn(await ask(), presented);
    expect(again.claim).toMatchObject({ isAliasUsed: false, online: 1 });
    expect(await registry.renew([again.holding])).toEqual(["held"]);
  }, 20_000);
});

describe("a call that ran although it was given up", () => {
  test("login whose connection broke before the answer leaves no seat", async () => {
    const { proxy, registry, other } = await open();
    const { token } = await registry.issue(identity("anna"), 60_000);
    const ran = proxy.swallow();
    const given = faultOf(registry.login(token, present(token)));
    await ran;
    expect(await online(other)).toBe(1); // it ran

    proxy.breakOff();

    expect(await given).toBe("refused");
    await until(async () => (await online(other)) === 0);
    expect(await other.login(token, present(token))).toBe("replayed");
  }, 20_000);

  test("login whose answer is lost on the way leaves no seat", async () => {
    const { proxy, registry, other } = await open();
    const { token } = await registry.issue(identity("anna"), 60_000);
    const ran = proxy.swallow();
    const given = faultOf(registry.login(token, present(token)));
    await ran;
    proxy.hold(); // nor does the leave behind it arrive

    expect(await given).toBe("timeout");
    expect(await online(other)).toBe(1);
    proxy.breakOff();
    proxy.release();

    await until(async () => (await online(other)) === 0);
  }, 20_000);

  test("login that is asked again on its connection keeps the seat", async () => {
    const { proxy, registry, other } = await open();
    const { token } = await registry.issue(identity("anna"), 60_000);
    const presented = present(token);
    const ran = proxy.swallow();
    const given = faultOf(registry.login(token, presented));
    await ran;
    proxy.breakOff();
    expect(await given).toBe("refused");

    await until(async () => (await faultOf(registry.login(token, presented))) === null);

    const { holding } = letIn(await registry.login(token, presented), presented);
    const probe = await login(registry, "bert"); // behind every leave that is owed
    expect(probe.claim.online).toBe(1);
    expect(await online(other)).toBe(1);
    expect(await registry.renew([holding])).toEqual(["held"]);
  }, 20_000);

  test("resume whose connection broke leaves no seat, and the id to its client", async () => {
    const { proxy, registry, other } = await open();
    const a = await login(registry);
    await registry.leave(a.holding);
    const ran = proxy.swallow();
    const given = faultOf(registry.resume(a.claim.sessionId, present(a.claim.sessionId)));
    await ran;
    expect(await online(other)).toBe(1);

    proxy.breakOff();

    expect(await given).toBe("refused");
    await until(async () => (await online(other)) === 0);
    const presented = present(a.claim.sessionId);
    const b = letIn(await other.resume(a.claim.sessionId, presented), presented);
    expect(b.claim).toMatchObject({ isAliasUsed: true, online: 1 });
  }, 20_000);
});

describe("a clock that this process has wrong", () => {
  // Without a network between: the second try is made only while there is time left.
  test("login is asked once more when Redis has told its time", async () => {
    const asked: string[] = [];
    let aheadMs = -3_600_000;
    const registry = createRedisRegistry({
      redis: {
        isCluster: false,
        preload() {},
        run: async (script, _, args) => {
          asked.push(`${script.name} until ${args.at(-1)}`);
          return asked.length === 1 ? ["late", 5_000_000] : ["token"];
        },
        nowMs: () => 5_000_000 + aheadMs,
        lateAfterMs: () => 5_000_950 + aheadMs,
        heardTime(timeMs) {
          if (timeMs === 5_000_000) aheadMs = 0;
        },
      },
    });
    const token = `${"a".repeat(22)}.${"b".repeat(43)}`;

    expect(await registry.login(token, present(token))).toBe("token");

    expect(asked).toEqual(["login until 1400950", "login until 5000950"]);
  });

  test("login that stays late is unavailable, and nothing has happened", async () => {
    const { redis, other } = await open();
    const faults: string[] = [];
    const registry = createRedisRegistry({
      redis: { ...redis, lateAfterMs: () => 1 },
      onFault: (stage) => faults.push(stage),
    });
    const { token } = await registry.issue(identity("anna"), 60_000);

    expect(await faultOf(registry.login(token, present(token)))).toBe("timeout");

    expect(faults).toEqual(["login"]);
    expect(await online(other)).toBe(0);
    const presented = present(token);
    expect(letIn(await other.login(token, presented), presented).claim.online).toBe(1);
  });

  test("a connection tells the time of its Redis, and a little later for a call", async () => {
    const { redis } = await open();

    const aheadMs = (redis.lateAfterMs() ?? 0) - Date.now(); // one machine, one clock

    expect(aheadMs).toBeGreaterThan(900);
    expect(aheadMs).toBeLessThan(2_000);
  });
});

async function faultOf(call: Promise<unknown>): Promise<StoreFault | null> {
  try {
    await call;
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(RegistryUnavailable);
    return (error as RegistryUnavailable).fault; // said on the line before
  }
}

async function passed(sinceMs: number, ms: number): Promise<void> {
  await until(async () => performance.now() - sinceMs > ms);
}

/** Waits for what another process will do; there is no event for it. */
async function until(isDone: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 8000;
  while (!(await isDone())) {
    if (performance.now() > deadlineMs) throw new Error(`Waited 8 s for ${isDone}`);
    await Bun.sleep(20);
  }
}
