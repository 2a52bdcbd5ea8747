/** What an operator reads when Redis cannot be used: one line, soon, and without a secret in it. */
import { afterEach, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, type Server, startRedis } from "@holdfast/servers";
import { identity } from "./contract-world.ts";
import { connectRedis, createRedisRegistry } from "./redis.ts";

const stops: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function started(args: readonly string[] = []): Promise<Server> {
  const server = await startRedis({ args });
  stops.push(() => server.stop());
  return server;
}

describe("connectRedis", () => {
  test("a wrong password is said at once", async () => {
    const { port } = await started(["--requirepass", "right"]);
    const startedMs = performance.now();

    const refused = connectRedis({ url: `redis://:wrong@127.0.0.1:${port}` });

    const message = await messageOf(refused);
    expect(message).toStartWith(`Cannot use Redis 127.0.0.1:${port}: WRONGPASS`);
    expect(message).not.toMatch(/\n|wrong@/);
    expect(performance.now() - startedMs).toBeLessThan(1000);
  });

  test("a missing password is said at once", async () => {
    const { url } = await started(["--requirepass", "right"]);

    expect(await messageOf(connectRedis({ url }))).toMatch(/^Cannot use Redis .*NOAUTH[^\n]*$/);
  });

  test("the right password opens, in the URL or beside it", async () => {
    const { url } = await started(["--requirepass", "p@ss"]);

    const beside = await connectRedis({ url, password: "p@ss" });
    const inside = await connectRedis({ url: url.replace("://", "://:p%40ss@") });

    expect([await beside.ping(), await inside.ping()]).toEqual([true, true]);
    await Promise.all([beside.close(), inside.close()]);
  });

  test("an old Redis is named with its version", async () => {
    const server = Bun.listen({
      ...{ hostname: "127.0.0.1", port: 0 },
      socket: {
        // As Redis 6.2 would at a start: INFO with a version, the rest with OK.
        data(socket, chunk) {
          for (const command of chunk.toString().split(/^\*/m).slice(1)) {
            const info = "redis_version:6.2.14\r\nloading:0\r\n";
            const isInfo = /info/i.test(command);
            socket.write(isInfo ? `$${info.length}\r\n${info}\r\n` : "+OK\r\n");
          }
        },
      },
    });
    stops.push(async () => server.stop(true));

    const refused = connectRedis({ url: `redis://127.0.0.1:${server.port}` });

    expect(await messageOf(refused)).toBe(
      `Cannot use Redis 127.0.0.1:${server.port}: ` +
        "version 6.2.14 is too old: Holdfast needs Redis 7.0 or newer",
    );
  });

  test("a Redis that is not there is given up in time, with the reason", async () => {
    const port = await freePort("127.0.0.1");

    const refused = connectRedis({ url: `redis://127.0.0.1:${port}`, startTimeoutMs: 500 });

    expect(await messageOf(refused)).toMatch(/^Cannot use Redis .*ECONNREFUSED[^\n]*$/);
  });

  test("a Redis that comes a little later is waited for", async () => {
    const port = await freePort("127.0.0.1");
    const connecting = connectRedis({ url: `redis://127.0.0.1:${port}` });
    const server = await startRedis({ port });
    stops.push(() => server.stop());

    const redis = await connecting;

    expect(await redis.ping()).toBe(true);
    await redis.close();
  });

  test("a CA file without TLS is refused", async () => {
    const refused = connectRedis({ url: "redis://127.0.0.1", caFile: "/nowhere.pem" });

    expect(await messageOf(refused)).toBe("Cannot use a CA file with redis://: it needs rediss://");
  });

  test("TLS is spoken with a Redis whose authority is trusted, and with no other", async () => {
    const directory = await mkdtemp(join(tmpdir(), "holdfast-tls-"));
    stops.push(() => rm(directory, { recursive: true, force: true }));
    const [key, cert] = [join(directory, "key.pem"), join(directory, "cert.pem")];
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"];
    const made = Bun.spawnSync(
      ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"].concat(
        ...[["-keyout", key, "-out", cert], subject],
      ),
    );
    expect(made.exitCode).toBe(0);
    const tlsPort = String(await freePort("127.0.0.1"));
    const files = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert];
    await started(["--tls-port", tlsPort, ...files, "--tls-auth-clients", "no"]);
    const url = `rediss://127.0.0.1:${tlsPort}`;

    const redis = await connectRedis({ url, caFile: cert });
    const { online } = await createRedisRegistry({ redis }).issue(identity("anna"), 1000);

    expect(online).toBe(0);
    await redis.close();
    expect(await messageOf(connectRedis({ url }))).toMatch(/certificate/i);
  }, 20_000);
});

async function messageOf(refused: Promise<unknown>): Promise<string> {
  return refused.then(
    () => "it was not refused",
    (error: Error) => error.message,
  );
}
