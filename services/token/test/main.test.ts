/** The process itself, on a real Redis and NATS: it starts, issues, ends, and fails clearly. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ClusterEvent } from "@holdfast/cluster";
import { connectNats, createNatsBus } from "@holdfast/cluster/nats";
import { freePort, startNats, startRedis } from "@holdfast/servers";
import type { TakenSeat } from "@holdfast/session";
import { connectRedis, createRedisRegistry } from "@holdfast/session/redis";
import { backendKey, bodyOf, directoryFile, seat, signed } from "./rig.ts";

const folder = mkdtempSync(join(tmpdir(), "holdfast-token-"));
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(content));
  return path;
}

const local = {
  TOKEN_HOST: "127.0.0.1",
  TOKEN_PORT: "0",
  TOKEN_ADMIN_HOST: "127.0.0.1",
  TOKEN_ADMIN_PORT: "0",
  TOKEN_NODE_NAME: "token-1",
  TOKEN_DIRECTORY_FILE: fileOf("directory.json", directoryFile),
};

function spawn(environment: Readonly<Record<string, string>>, args: readonly string[] = []) {
  const main = join(import.meta.dir, "../src/main.ts");
  return Bun.spawn([process.execPath, main, ...args], {
    env: { PATH: process.env["PATH"], ...local, ...environment },
    stdout: "pipe",
    stderr: "pipe",
  });
}

/** Reads a log: each call goes on until an event has come, and gives its line. */
function createLogReader(child: ReturnType<typeof spawn>) {
  const decoder = new TextDecoder();
  const reader = child.stdout.getReader();
  let text = "";
  return async function lineOf(event: string): Promise<{ readonly httpPort: number }> {
    for (;;) {
      const line = text.split("\n").find((one) => one.includes(`"event":"${event}"`));
      if (line?.endsWith("}")) return JSON.parse(line) as { httpPort: number };
      const { done, value } = await reader.read();
      if (done) throw new Error(`Process ended without ${event}: ${text}`);
      text += decoder.decode(value, { stream: true });
    }
  };
}

describe("token service on real servers", () => {
  test("token is issued, sessions are ended, their node is told, and SIGTERM ends it with 0", async () => {
    await using redis = await startRedis();
    await using nats = await startNats();
    const urls = { TOKEN_REDIS_URL: redis.url, TOKEN_NATS_URL: nats.url };
    const child = spawn(urls);
    const { httpPort } = await createLogReader(child)("token_started");
    const ask = (path: string, init: RequestInit) =>
      fetch(`http://127.0.0.1:${httpPort}${path}`, init);
    const connection = await connectRedis({ url: redis.url });
    const registry = createRedisRegistry({ redis: connection });
    await seat(registry, "alice", [{ node: "edge-1", connection: "c1" }]);
    const [{ generation }] = (await registry.seats("alice")) as [TakenSeat]; // just seated
    const link = await connectNats({
      urls: nats.url,
      name: "edge-1",
      startTimeoutMs: 5000,
      onFault: () => {},
    });
    const { promise: told, resolve } = Promise.withResolvers<ClusterEvent>();
    await createNatsBus({ connection: link, onFault: () => {} }).subscribe("edge-1", resolve);

    const timestamp = String(Math.floor(Date.now() / 1000));
    const issued = await ask("/v1/socket/token", { headers: signed({ timestamp }) });
    const path = "/v1/accounts/alice/sessions";
    const ended = await ask(path, { method: "DELETE", headers: backendKey });

    expect((await bodyOf(issued)).data).toMatchObject({ limit: 3, online: 1 });
    expect((await bodyOf(ended)).data).toEqual({ sessions: 1, connections: 1 });
    const losers = [{ connection: "c1", generation }];
    expect(await told).toEqual({ type: "ended", losers, reason: "session ended" });
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    await link.close();
    await connection.close();
  });

  test("Redis that hangs is a 503 within a second", async () => {
    await using redis = await startRedis();
    await using nats = await startNats();
    const child = spawn({ TOKEN_REDIS_URL: redis.url, TOKEN_NATS_URL: nats.url });
    const { httpPort } = await createLogReader(child)("token_started");
    redis.signal("SIGSTOP");

    const startMs = performance.now();
    const answer = await fetch(`http://127.0.0.1:${httpPort}/v1/tokens`, {
      method: "POST",
      headers: backendKey,
      body: '{"account":"alice"}',
    });

    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "1"]);
    expect((await bodyOf(answer)).code).toBe(503000);
    expect(performance.now() - startMs).toBeLessThan(1500);
    redis.signal("SIGCONT");
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  });
});

describe("SIGHUP", () => {
  test("directory is read again, and one with a mistake is told and changes nothing", async () => {
    await using redis = await startRedis();
    await using nats = await startNats();
    const path = fileOf("reloaded.json", directoryFile);
    const urls = { TOKEN_REDIS_URL: redis.url, TOKEN_NATS_URL: nats.url };
    const child = spawn({ ...urls, TOKEN_DIRECTORY_FILE: path });
    const lineOf = createLogReader(child);
    const { httpPort } = await lineOf("token_started");
    const ask = async (key: string) => {
      const init = { method: "POST", headers: { "x-api-key": key }, body: '{"account":"a"}' };
      return (await fetch(`http://127.0.0.1:${httpPort}/v1/tokens`, init)).status;
    };

    fileOf("reloaded.json", { apiKeys: [{ key: "backend-key-number-2", name: "new" }] });
    child.kill("SIGHUP");
    await lineOf("directory_reloaded");
    const reloaded = [await ask("backend-key-number-1"), await ask("backend-key-number-2")];
    fileOf("reloaded.json", { apiKeys: [{}] });
    child.kill("SIGHUP");
    await lineOf("directory_refused");

    expect(reloaded).toEqual([403, 200]);
    expect(await ask("backend-key-number-2")).toBe(200);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  });
});

describe("start that fails", () => {
  test("every mistake of the configuration is listed, and the process ends with 1", async () => {
    const child = spawn({ TOKEN_PORT: "70000", TOKEN_POLICY: "kick" });

    expect(await new Response(child.stderr).text()).toBe(
      [
        "Cannot start: the configuration has mistakes",
        'TOKEN_PORT is "70000": must be an integer from 0 to 65535',
        'TOKEN_POLICY is "kick": must be one of displace, reject',
        "TOKEN_REDIS_URL must be set",
        "TOKEN_NATS_URL must be set",
        "",
      ].join("\n"),
    );
    expect(await child.exited).toBe(1);
  });

  const urls = { TOKEN_REDIS_URL: "redis://127.0.0.1:1", TOKEN_NATS_URL: "nats://127.0.0.1:1" };

  test("every mistake of the directory is listed with its file and path", async () => {
    const path = fileOf("wrong.json", { apps: [{ key: "", secret: "s" }], tokens: [] });
    const child = spawn({ ...urls, TOKEN_DIRECTORY_FILE: path });

    expect(await new Response(child.stderr).text()).toBe(
      [
        "Cannot start: the configuration has mistakes",
        `TOKEN_DIRECTORY_FILE is "${path}": apps[0].key: must be 1 to 256 visible ASCII characters`,
        `TOKEN_DIRECTORY_FILE is "${path}": tokens: is not known here`,
        "",
      ].join("\n"),
    );
    expect(await child.exited).toBe(1);
  });

  test("directory that is not there is named", async () => {
    const path = join(folder, "missing.json");
    const child = spawn({ ...urls, TOKEN_DIRECTORY_FILE: path });

    expect(await new Response(child.stderr).text()).toEndWith(
      `TOKEN_DIRECTORY_FILE is "${path}": cannot be read: there is no such file (ENOENT)\n`,
    );
    expect(await child.exited).toBe(1);
  });

  test("Redis that is not there is told in one line, and the process ends with 1", async () => {
    const url = `redis://127.0.0.1:${await freePort()}`;
    const child = spawn({ ...urls, TOKEN_REDIS_URL: url, TOKEN_START_TIMEOUT_MS: "300" });

    const lines = (await new Response(child.stdout).text()).split("\n");

    expect(await child.exited).toBe(1);
    const told = lines.find((line) => line.includes('"event":"start_failed"')) ?? "{}";
    expect(JSON.parse(told)).toMatchObject({
      part: "redis",
      settings: ["TOKEN_REDIS_URL", "TOKEN_START_TIMEOUT_MS"],
      reason: expect.stringMatching(/^Cannot use Redis/),
    });
  });

  test("configuration can be checked without starting, and shows no secret", async () => {
    const redisUrl = "redis://:hush@127.0.0.1:1";
    const child = spawn({ ...urls, TOKEN_REDIS_URL: redisUrl, TOKEN_EXTRA: "1" }, [
      "--check-config",
    ]);

    const text = await new Response(child.stdout).text();

    expect(await child.exited).toBe(0);
    expect(text).toStartWith("token: the configuration has no mistakes\n");
    expect(text).toContain("  TOKEN_REDIS_URL is (hidden)\n");
    expect(text).toContain("  TOKEN_EXTRA is not known, and does nothing\n");
    expect(text).not.toContain("TOKEN_POLICY");
    expect(text).not.toContain("hush");
  });
});
