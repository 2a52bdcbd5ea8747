/**
 * A client that overtakes itself. Goal: it keeps its connection and its session, although an
 * earlier Reconnect of its own runs after the later one. How: two nodes on one Redis, one of them
 * behind a proxy that stalls while the client is let in on the other.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { createMemoryHub } from "@holdfast/cluster";
import { Command } from "@holdfast/protocol";
import { type Clock, systemClock } from "@holdfast/runtime";
import { startRedis, startRedisProxy } from "@holdfast/servers";
import { defaultRegistrySettings, parseSessionId } from "@holdfast/session";
import { connectRedis, createRedisRegistry } from "@holdfast/session/redis";
import { until } from "../support/arrivals.ts";
import { startEdge, type TestEdge, transports } from "../support/edge.ts";
import {
  accepted,
  auth,
  expectError,
  reconnect,
  reconnectBody,
  request,
  settle,
} from "../support/packets.ts";

const stops: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** What is replaced and comes again is theft at once: a leftover must not be taken for it. */
const registrySettings = { ...defaultRegistrySettings, theftEnds: true, replayGraceMs: 0 };

/** `clock`: of the node behind the proxy. */
async function open(clock: Clock = systemClock) {
  const server = await startRedis();
  stops.push(server.stop);
  const proxy = startRedisProxy(server);
  stops.push(async () => proxy[Symbol.asyncDispose]());
  const hub = createMemoryHub();
  // The last to come is the first to stop: when the steady one does, no seat may be left.
  const steady = await edgeOn(server.url, systemClock);
  const stalling = await edgeOn(proxy.url, clock);
  return { proxy, stalling, steady };

  async function edgeOn(url: string, clock: Clock): Promise<TestEdge> {
    const redis = await connectRedis({ url });
    stops.push(redis.close);
    const registry = createRedisRegistry({ redis, settings: registrySettings });
    const edge = await startEdge({ hub, registry, clock });
    stops.push(async () => edge[Symbol.asyncDispose]());
    return edge;
  }
}

for (const transport of transports) {
  describe(`client that overtakes itself on ${transport}`, () => {
    test.each([
      ["once: its connection stays, and its id is good", 1],
      ["twice: it is no thief", 2],
    ])("%s", async (_, times) => {
      const { proxy, stalling, steady } = await open();
      const first = await steady.open(transport);
      let { sessionId } = accepted(await auth(first, await steady.issueToken("hasty")));
      proxy.hold();
      const early = await stalling.open(transport);
      early.sendBytes(request(Command.reconnect, 1, reconnectBody(sessionId)));
      const { sid } = parseSessionId(sessionId)!; // just told
      await until(() => proxy.holds(sid), "the first Reconnect waits");

      const wires = [];
      for (let time = 0; time < times; time++) {
        const wire = await steady.open(transport);
        ({ sessionId } = accepted(await reconnect(wire, sessionId)));
        wires.push(wire);
      }
      proxy.release();

      expectError(await early.next(), "serviceUnavailable");
      const labels = { kind: "reconnect", outcome: "overtaken" };
      expect(await stalling.metric("holdfast_auth_total", labels)).toBe(1);
      await settle(wires.at(-1)!); // one at least
      wires.at(-1)?.reset();
      accepted(await reconnect(await stalling.open(transport), sessionId));
    });
  });
}

test("what lay in the socket of a node that stood still takes nothing from its client", async () => {
  let stoodStillMs = 0;
  const monotonic = () => systemClock.monotonic() + stoodStillMs;
  const { stalling, steady } = await open({ ...systemClock, monotonic });
  const first = await steady.open("tcp");
  const { sessionId } = accepted(await auth(first, await steady.issueToken("patient")));
  const early = await stalling.open("tcp");
  const wire = await steady.open("tcp");
  const later = accepted(await reconnect(wire, sessionId));
  await settle(wire);

  stoodStillMs = 3_000; // in which it read nothing
  expectError(await reconnect(early, sessionId), "serviceUnavailable");

  await settle(wire);
  accepted(await reconnect(await stalling.open("tcp"), later.sessionId));
});
