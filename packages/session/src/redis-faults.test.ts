/**
 * The registry while its Redis is down, stands still, may not write, or holds damaged data. Real
 * time here: an outage ends when Redis says so, and each wait has a deadline.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { exchange, type Server, startRedis } from "@holdfast/servers";
import { type Client, hold, identity, isClaim, letIn, present } from "./contract-world.ts";
import { connectRedis, createRedisRegistry, type RedisConnection } from "./redis.ts";
import { toScript } from "./redis-world.ts";
import { RegistryUnavailable, type SessionRegistry, type StoreFault } from "./session.ts";

interface Lab {
  readonly server: Server;
  readonly redis: RedisConnection;
  readonly registry: SessionRegistry;
  readonly faults: string[];
  readonly restored: number[];
}

const stops: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function open(args: readonly string[] = []): Promise<Lab> {
  const server = await startRedis({ args });
  stops.push(() => server.stop());
  const redis = await connectRedis({ url: server.url });
  stops.push(() => redis.close());
  const faults: string[] = [];
  const restored: number[] = [];
  const registry = createRedisRegistry({
    redis,
    onFault: (stage) => faults.push(stage),
    onRestored: () => restored.push(Date.now()),
  });
  return { server, redis, registry, faults, restored };
}

async function login(registry: SessionRegistry, account: string): Promise<Client> {
  const { token } = await registry.issue(identity(account), 60_000);
  const presented = present(token);
  return letIn(await registry.login(token, presented), presented);
}

describe("createRedisRegistry", () => {
  test("a killed Redis is refused at once, and found again when it is back", async () => {
    const { server, redis, registry, faults } = await open();
    server.signal("SIGKILL");
    await until(async () => (await faultOfIssue(registry)) === "refused");

    const startedMs = performance.now();
    expect(await faultOfIssue(registry)).toBe("refused");
    expect(performance.now() - startedMs).toBeLessThan(1000);
    expect(faults).toContain("issue");
    await until(async () => !redis.isUp());
    await server.restart();
    const backMs = performance.now();

    await until(async () => (await faultOfIssue(registry)) === null);
    expect(performance.now() - backMs).toBeLessThan(5000);
    await until(async () => redis.isUp());
  }, 20_000);

  test("the offset of the clock is none on one machine, and unknown without an answer", async () => {
    const { server, redis } = await open();
    await until(async () => redis.clockOffsetMs() !== null);
    expect(Math.abs(redis.clockOffsetMs() ?? Number.NaN)).toBeLessThan(500);

    server.signal("SIGKILL");
    await until(async () => redis.clockOffsetMs() === null);
  }, 20_000);

  test("holdings get no verdict while Redis is down, and are put back when it returns empty", async () => {
    const { server, registry, restored } = await open();
    const { holding } = await login(registry, "anna");
    expect(await registry.renew([holding])).toEqual(["held"]);
    server.signal("SIGKILL");
    await until(async () => (await registry.renew([holding]))[0] === null);
    expect(restored).toEqual([]);

    await server.restart();
    await until(async () => (await registry.renew([holding]))[0] === "held");

    expect((await registry.issue(identity("anna"), 1000)).online).toBe(1);
    expect(restored).toHaveLength(1);
  }, 20_000);

  // The same data, another life of the process: it may have forgotten who used a token.
  test("a token of before a restart is refused, a session of before is not", async () => {
    const { server, registry } = await open(["--appendonly", "yes", "--appendfsync", "always"]);
    const a = await login(registry, "anna");
    const { token } = await registry.issue(identity("anna"), 60_000);
    server.signal("SIGKILL");
    await server.restart();
    await until(async () => (await faultOfIssue(registry)) === null);

    expect(await registry.login(token, present(token))).toBe("epoch");
    expect(isClaim(await registry.resume(a.claim.sessionId, present(a.claim.sessionId)))).toBe(
      true,
    );
    expect(await login(registry, "anna")).toBeObject();
  }, 20_000);

  test.each([
    ["oom", "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"],
    ["noreplicas", "CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"],
    ["readonly", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"],
  ] as const)(
    "while Redis answers %s nothing is half done",
    async (expected, spoil, mend) => {
      const { server, redis, registry } = await open();
      const a = await login(registry, "anna");
      const { token } = await registry.issue(identity("bert"), 60_000);
      const presented = present(token);
      const before = await dump(server);
      await tell(server, spoil);

      expect(await faultOf(registry.login(token, presented))).toBe(expected);
      expect(redis.isUp()).toBe(false);
      expect(await dump(server)).toEqual(before);
      await tell(server, mend);
      await until(async () => redis.isUp());
      await until(async () => (await faultOfIssue(registry)) === null);
      // A new primary is a new epoch; otherwise the token is as good as before.
      const answer = await registry.login(token, presented);
      expect(expected === "readonly" ? answer : isClaim(answer)).toBe(
        expected === "readonly" ? "epoch" : true,
      );
      expect(await registry.renew([a.holding])).toEqual(["held"]);
    },
    20_000,
  );

  // What replicas do not hear of may have moved on without it: its word on a lease is no verdict.
  test("a primary without its replicas verifies no seat, not even a fresh lease", async () => {
    const { server, registry } = await open();
    const a = await login(registry, "anna");
    expect(await registry.renew([a.holding])).toEqual(["held"]);
    await tell(server, "CONFIG SET min-replicas-to-write 1");

    expect(await registry.renew([a.holding])).toEqual([null]);
    await tell(server, "CONFIG SET min-replicas-to-write 0");

    expect(await registry.renew([a.holding])).toEqual(["held"]);
  });

  test("what cannot be written does not keep the others from their verdict", async () => {
    const { server, registry, faults } = await open();
    const [a, b] = [await login(registry, "anna"), await login(registry, "bert")];
    await registry.end({ session: a.claim.session }, "over");
    await tell(server, "CONFIG SET maxmemory 1");

    const verdicts = await registry.renew([b.holding, a.holding]);

    expect(verdicts).toEqual([null, "ended"]);
    expect(faults).toEqual(["renew"]);
    await tell(server, "CONFIG SET maxmemory 0");
  });

  test.each(["account", "seats", "sessions", "session", "token"])(
    "a damaged %s key costs at most its own content",
    async (kind) => {
      for (const damage of ["wrong type", "no fields", "garbage in every field"]) {
        const { redis, registry } = await open();
        const a = await login(registry, "anna");
        const { token } = await registry.issue(identity("anna"), 60_000);
        await redis.run(toScript(damaging), ["*"], [kind, damage]);

        await registry.login(token, present(token));
        await registry.resume(a.claim.sessionId, present(a.claim.sessionId));
        expect(await registry.renew([a.holding])).not.toEqual([null]);
        await registry.leave(a.holding);
        const b = await login(registry, "anna");
        expect(
          await registry.renew([hold(b.claim, { ...present(""), seat: b.holding.seat })]),
        ).toEqual(["held"]);
        const ended = await registry.end({ account: "anna" }, "over");
        expect(ended.seats.length).toBe(1);
        for (const stop of stops.splice(0).reverse()) await stop();
      }
    },
    20_000,
  );

  test("every key expires", async () => {
    const { redis, registry } = await open();
    const a = await login(registry, "anna");
    await login(registry, "anna");
    await registry.renew([a.holding]);
    await registry.issue(identity("bert"), 60_000);
    await registry.end({ account: "carl" }, "over");

    const lasting = await redis.run(toScript(keysThatLast), [], []);

    expect(lasting).toEqual([]);
  });

  test("neither a token nor a session id can be found in Redis", async () => {
    const { server, registry } = await open();
    const { token } = await registry.issue(identity("anna"), 60_000);
    const presented = present(token);
    const { claim } = letIn(await registry.login(token, presented), presented);

    const stored = JSON.stringify(await dump(server));

    expect(stored).toContain(claim.session.secretHash);
    for (const secret of [token.split(".")[1]!, presented.secret]) {
      expect(stored).not.toContain(secret);
    }
  });
});

const damaging = `
  for _, key in ipairs(redis.call('KEYS', '*')) do
    if string.find(key, ':' .. ARGV[1] .. '$') or string.find(key, ':' .. ARGV[1] .. ':') then
      local is_hash = redis.call('TYPE', key).ok == 'hash'
      if ARGV[2] == 'wrong type' then
        redis.call('SET', key, 'x', 'EX', 100)
      elseif ARGV[2] == 'no fields' or not is_hash then
        redis.call('DEL', key)
        redis.call('HSET', key, 'x', 'y')
        redis.call('EXPIRE', key, 100)
      else
        for _, field in ipairs(redis.call('HKEYS', key)) do redis.call('HSET', key, field, '\\0x{') end
      end
    end
  end`;

const keysThatLast = `
  local lasting = {}
  for _, key in ipairs(redis.call('KEYS', '*')) do
    if redis.call('PTTL', key) < 0 then lasting[#lasting + 1] = key end
  end
  return lasting`;

/** Everything that Redis holds, in order. */
async function dump(server: Server): Promise<unknown> {
  const script = `
    local all = {}
    local keys = redis.call('KEYS', '*')
    table.sort(keys)
    for _, key in ipairs(keys) do
      local kind = redis.call('TYPE', key).ok
      local value = kind == 'hash' and redis.call('HGETALL', key)
        or kind == 'zset' and redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') or redis.call('GET', key)
      all[#all + 1] = { key, value }
    end
    return all`;
  const redis = await connectRedis({ url: server.url });
  const all = await redis.run(toScript(script), [], []);
  await redis.close();
  return all;
}

async function tell({ host, port }: Server, command: string): Promise<void> {
  const send = `${command}\r\n`;
  const answer = await exchange({ host, port, send, isComplete: (text) => text.endsWith("\n") });
  expect(answer).toStartWith("+OK");
}

async function faultOf(call: Promise<unknown>): Promise<StoreFault | null> {
  try {
    await call;
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(RegistryUnavailable);
    return (error as RegistryUnavailable).fault; // said on the line before
  }
}

function faultOfIssue(registry: SessionRegistry): Promise<StoreFault | null> {
  return faultOf(registry.issue(identity("somebody"), 1000));
}

/** Waits for what another process will do; there is no event for it. */
async function until(isDone: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 8000;
  while (!(await isDone())) {
    if (performance.now() > deadlineMs) throw new Error(`Waited 8 s for ${isDone}`);
    await Bun.sleep(20);
  }
}
