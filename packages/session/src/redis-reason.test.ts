/** What a client tells of its start, and what it must not write anywhere. */
import { afterEach, describe, expect, spyOn, test } from "bun:test";
import { once } from "node:events";
import { startRedis } from "@holdfast/servers";
import { Redis } from "ioredis";
import { startSentinel } from "../test/sentinel-stub.ts";
import { reason, watchStart } from "./redis-reason.ts";

const stops: (() => unknown)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

describe("watchStart", () => {
  // Goal: one Sentinel that is away is no news, and stderr is for JSON lines. How: the client
  // listens to one that then goes; the library tells when it asks for it again.
  test("a Sentinel that has gone is not written to stderr", async () => {
    const server = await startRedis();
    stops.push(() => server.stop());
    const sentinel = startSentinel(server.port);
    const client = new Redis({
      ...{ sentinels: [{ host: "127.0.0.1", port: sentinel.port }], name: "main" },
      ...{ failoverDetector: true, sentinelReconnectStrategy: () => 10, lazyConnect: true },
    });
    stops.push(() => client.disconnect());
    watchStart(client, []);
    const written = spyOn(console, "error").mockImplementation(() => {});
    stops.push(() => written.mockRestore());
    await Promise.all([client.connect(), once(client, "failoverSubscribed")]);

    sentinel.stop();
    await once(client, "sentinelReconnecting"); // it hung up
    await once(client, "sentinelReconnecting"); // it is not there

    expect(written).not.toHaveBeenCalled();
  });
});

describe("reason", () => {
  test("lines are joined, and what is behind follows", () => {
    const error = new Error("cannot\n  go on", { cause: new Error("because") });

    expect(reason(error)).toBe("cannot go on: because");
    expect(reason("a word")).toBe("a word");
  });
});
