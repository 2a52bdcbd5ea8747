import { describe, expect, test } from "bun:test";
import { HttpUpgradeError } from "@holdfast/client/wire";
import { until } from "../support/arrivals.ts";
import { startEdge, type TestEdge, type TransportName, transports } from "../support/edge.ts";
import {
  accepted,
  auth,
  expectClose,
  expectError,
  expectSilentEnd,
  noise,
  openSession,
  request,
  settle,
} from "../support/packets.ts";
import { echo, held } from "../support/scripted-upstream.ts";

const kibibyte = 1024;

/** A connection beyond a limit: TCP is ended without a word, WebSocket is told to come later. */
async function expectRefused(edge: TestEdge, transport: TransportName): Promise<void> {
  if (transport === "tcp") {
    await expectSilentEnd(await edge.open("tcp"));
    return;
  }
  const error: HttpUpgradeError = await edge.open("ws").catch((caught) => caught);
  expect(error).toBeInstanceOf(HttpUpgradeError);
  expect(error.status).toBe(503);
  expect(Number(error.headers["retry-after"])).toBeWithin(1, 4); // 2 s, more or less
}

for (const transport of transports) {
  describe(`connections on ${transport}`, () => {
    test("as many as the limit come in, one more is refused, one less may follow", async () => {
      const settings = { EDGE_CONNECTIONS_MAX: 4, EDGE_UNAUTHENTICATED_MAX: 4 };
      await using edge = await startEdge({ settings });
      const other = await edge.open(transport === "tcp" ? "ws" : "tcp");
      const wires = [await edge.open(transport), await edge.open(transport)];
      const last = await edge.open(transport);
      for (const wire of [other, ...wires, last]) await settle(wire);

      await expectRefused(edge, transport);

      const rejected = { transport, reason: "limit" };
      expect(await edge.metric("holdfast_connections_rejected_total", rejected)).toBe(1);
      last.reset();
      await until(() => edge.edge.connections === 3, "one has left");
      await settle(await edge.open(transport));
    });

    test("strangers have a limit of their own, and a login makes room", async () => {
      await using edge = await startEdge({ settings: { EDGE_UNAUTHENTICATED_MAX: 2 } });
      const first = await edge.open(transport);
      await settle(first);
      await settle(await edge.open(transport === "tcp" ? "ws" : "tcp"));

      await expectRefused(edge, transport);

      accepted(await auth(first, await edge.issueToken("known")));
      await settle(await edge.open(transport));
    });

    test("every accepted connection is counted closed once, by who ended it", async () => {
      await using edge = await startEdge({ settings: { EDGE_HANDSHAKE_TIMEOUT_MS: 100 } }); // [I5]
      const spoiled = await edge.open(transport);
      spoiled.sendBytes(Uint8Array.of(0));
      await spoiled.waitClosed();
      const leaving = await edge.open(transport);
      await settle(leaving);
      leaving.end();
      const open = await openSession(edge, transport);
      const mute = await edge.open("tcp", { handshake: null });
      await mute.waitClosed();

      await until(() => edge.edge.connections === 1, "one is left");
      await settle(open.wire);
      const closes = await edge.metric("holdfast_closes_total");
      const opened = await edge.metric("holdfast_connections_opened_total");

      expect({ closes, opened }).toEqual({ closes: 3, opened: 4 });
    });
  });

  describe(`bodies of all connections on ${transport}`, () => {
    const settings = { EDGE_NODE_BODY_BYTES_MAX: 1024 * kibibyte };

    test("they fit up to the bound, one byte more is answered 7 / 503, an answer makes room", async () => {
      await using edge = await startEdge({ settings });
      const first = await openSession(edge, transport);
      const second = await openSession(edge, transport);
      first.wire.sendBytes(request(held, 50, noise(1014 * kibibyte)));
      const waiting = await edge.upstream.nextCall();

      // Small enough to come in one segment: what is being assembled counts, too.
      const rest = noise(10 * kibibyte);
      expect(await second.wire.request(echo, rest)).toMatchObject({ status: 0 });
      const refused = await second.wire.request(echo, noise(10 * kibibyte + 1));
      expectError(refused, "serviceUnavailable");

      waiting.answer({ status: 0, body: new Uint8Array(1) });
      await first.wire.next();
      expect(await second.wire.request(echo, noise(800 * kibibyte))).toMatchObject({ status: 0 });
    });
  });
}

describe("bodies being assembled", () => {
  const settings = { EDGE_NODE_BODY_BYTES_MAX: 1024 * kibibyte };

  test("connection that would pass the bound with an unfinished packet gets Close 1", async () => {
    await using edge = await startEdge({ settings });
    const first = await openSession(edge, "tcp");
    const second = await openSession(edge, "tcp");
    const assembling = () => edge.metric("holdfast_body_memory_bytes");
    first.wire.sendBytes(request(echo, 50, noise(900 * kibibyte)).subarray(0, -1));
    await until(async () => (await assembling()) > 800 * kibibyte, "the first has come");

    second.wire.sendBytes(request(echo, 50, noise(900 * kibibyte)).subarray(0, -1));

    await expectClose(second.wire, "tcp", 1, "memory limit");
    await settle((await openSession(edge, "tcp")).wire);
    first.wire.reset();
    await until(async () => (await assembling()) === 0, "nothing is held");
  });
});
