/** A failover that is told at the wrong moment. */
import { expect, test } from "bun:test";
import { exchange, startRedis } from "@holdfast/servers";
import { startSentinel } from "../test/sentinel-stub.ts";
import { connectRedis } from "./redis.ts";

// Goal: no moment of a failover ends a client for good. How: its connection breaks, it asks the
// Sentinel for the primary, and before it is answered it is told of a failover.
test("a client that hears of a failover while it asks for the primary comes back", async () => {
  await using server = await startRedis();
  const sentinel = startSentinel(server.port);
  const redis = await connectRedis({ url: `redis-sentinel://127.0.0.1:${sentinel.port}/main` });
  try {
    const asked = sentinel.hesitate();
    await exchange({
      ...{ host: server.host, port: server.port, send: "CLIENT KILL TYPE normal SKIPME yes\r\n" },
      isComplete: (text) => text.endsWith("\r\n"),
    });
    await asked;
    await sentinel.tellFailover();
    sentinel.goOn();

    const deadlineMs = performance.now() + 10_000;
    while (!(await redis.ping()) && performance.now() < deadlineMs) await Bun.sleep(20);
    expect(await redis.ping()).toBe(true);
  } finally {
    await redis.close();
    sentinel.stop();
  }
}, 20_000);
