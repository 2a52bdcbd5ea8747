import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { exchange } from "./exchange.ts";
import { startNats } from "./nats.ts";
import { freePort, isListening } from "./port.ts";
import { type Server, startProcess } from "./process.ts";
import { startRedis } from "./redis.ts";

const starters = { startRedis: () => startRedis(), startNats: () => startNats() };

for (const [name, start] of Object.entries(starters)) {
  describe(name, () => {
    test("server listens on its port and leaves neither process nor directory", async () => {
      const server = await start();
      const directory = readlinkSync(`/proc/${server.pid}/cwd`);

      expect(await isListening(server.pid, server.port)).toBe(true);
      expect(server.url).toEndWith(`://127.0.0.1:${server.port}`);
      await server.stop();

      expect(isAlive(server.pid)).toBe(false);
      expect(existsSync(directory)).toBe(false);
    });

    test("server may be stopped twice, also while it stands still", async () => {
      const server = await start();

      server.signal("SIGSTOP");
      await Promise.all([server.stop(), server.stop()]);
      await server.stop();

      expect(isAlive(server.pid)).toBe(false);
    });

    test("server killed comes back on the same port", async () => {
      await using server = await start();
      const { port, pid } = server;

      server.signal("SIGKILL");
      await server.restart();

      expect(server.port).toBe(port);
      expect(server.pid).not.toBe(pid);
      expect(await isListening(server.pid, port)).toBe(true);
    });

    test("server stopped for good does not come back", async () => {
      const server = await start();
      await server.stop();

      expect(await failure(server.restart())).toMatch("it was stopped for good");
    });

    test("servers started together have ports of their own", async () => {
      const servers = await Promise.all([start(), start(), start()]);

      expect(new Set(servers.map((server) => server.port)).size).toBe(3);
      await Promise.all(servers.map((server) => server.stop()));
    });
  });
}

describe("startProcess", () => {
  // Goal: no server outlives a test run that was killed. How: a parent starts one, says its pid
  // and is killed without warning; the kernel must then end the child.
  test("server dies with its parent even when the parent is killed", async () => {
    const script = `
      const { startRedis } = await import(${JSON.stringify(`${import.meta.dir}/redis.ts`)});
      console.log((await startRedis()).pid);
      setInterval(() => {}, 1000);`;
    const parent = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
    const { value } = await parent.stdout.getReader().read();
    const pid = Number(new TextDecoder().decode(value));
    const directory = readlinkSync(`/proc/${pid}/cwd`); // nobody is left to remove it

    parent.kill("SIGKILL");
    await parent.exited;

    await waitUntil(() => !isAlive(pid));
    rmSync(directory, { recursive: true });
  });

  test("missing executable names the package to install", async () => {
    const start = startProcess({
      binary: "redis-server-that-is-not-there",
      debianPackage: "redis-server",
      scheme: "redis",
      args: () => [],
      probe: () => Promise.resolve(),
    });

    expect(await failure(start)).toMatch(
      /^Cannot find redis-server-that-is-not-there: install the Debian package redis-server$/,
    );
  });

  test("port of somebody else is refused, and the other is not mistaken for ours", async () => {
    await using other = await startRedis();

    const start = startRedis({ port: other.port });

    expect(await failure(start)).toMatch(/address already in use/i);
  });

  test("mistake in the arguments is told in the server's own words", async () => {
    const start = startNats({ config: "no such setting {" });

    expect(await failure(start)).toMatch(
      /Cannot start nats-server: it ended at once: .*Parse error/s,
    );
  });

  test("server that never becomes ready is ended at the deadline", async () => {
    const start = startProcess({
      binary: "redis-server",
      debianPackage: "redis-server",
      scheme: "redis",
      args: (place) => ["--bind", place.host, "--port", String(place.port)],
      probe: () => Promise.reject(new Error("Cannot like this server")),
      startTimeoutMs: 2000,
    });

    expect(await failure(start)).toMatch(
      /not ready within 2000 ms: Error: Cannot like this server/,
    );
  });
});

describe("startRedis", () => {
  test("redis keeps its data over a restart when it is told to write it down", async () => {
    await using server = await startRedis({ args: ["--appendonly", "yes"] });
    await command(server, "SET tide high");

    await server.restart();

    expect(await command(server, "GET tide")).toBe("$4\r\nhigh\r\n");
  });
});

describe("startNats", () => {
  test("nats with a password is ready without being told it", async () => {
    await using server = await startNats({ args: ["--user", "a", "--pass", "b"] });

    expect(await isListening(server.pid, server.port)).toBe(true);
  });
});

describe("freePort", () => {
  test("port is below those the kernel gives to outgoing connections", async () => {
    const port = await freePort();

    expect(port).toBeGreaterThanOrEqual(12_000);
    expect(port).toBeLessThan(22_000);
  });
});

function command(server: Server, line: string): Promise<string> {
  const isComplete = (text: string) => /^([+$]\S*\r\n)([^\r]+\r\n)?$/.test(text);
  return exchange({ host: server.host, port: server.port, send: `${line}\r\n`, isComplete });
}

/** A dead process that its parent has not asked about yet (state Z) is dead too. */
function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/** What a promise fails with; `expect(...).rejects` may wait for ever (oven-sh/bun#14950). */
async function failure(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof Error ? error.message : `Did not fail, or with ${String(error)}`;
}

async function waitUntil(isSo: () => boolean, timeoutMs = 5000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`Not so within ${timeoutMs} ms`);
    await Bun.sleep(5);
  }
}
