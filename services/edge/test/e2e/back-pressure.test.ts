import { describe, expect, test } from "bun:test";
import type { Wire } from "@holdfast/client/wire";
import { Command } from "@holdfast/protocol";
import { staysFor, until } from "../support/arrivals.ts";
import { startEdge, type TestEdge, type TransportName, transports } from "../support/edge.ts";
import { accepted, auth, expectClose, noise, openSession, request } from "../support/packets.ts";
import { echo, sized } from "../support/scripted-upstream.ts";

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;
const boundBytes = 2 * mebibyte;
// Replies stay as large as they are, so that their bytes can be counted.
const plain = { EDGE_GZIP_MIN_BYTES: 16 * mebibyte };
const bounded = { ...plain, EDGE_OUTBOUND_BYTES_MAX: boundBytes };

function sizeBody(bytes: number): Uint8Array {
  const body = new Uint8Array(4);
  new DataView(body.buffer).setUint32(0, bytes);
  return body;
}

function waiting(edge: TestEdge): Promise<number> {
  return edge.metric("holdfast_outbound_queue_bytes");
}

/** A client that has logged in and reads no more. */
async function openStalled(edge: TestEdge, transport: TransportName): Promise<Wire> {
  const { wire } = await openSession(edge, transport);
  wire.pause();
  return wire;
}

/** Asks for replies until the kernel has taken all it will, and the node holds the rest back. */
async function fill(edge: TestEdge, wire: Wire): Promise<void> {
  let isSteady = false;
  for (let id = 1000; id < 2000 && !isSteady; id++) {
    const before = edge.upstream.calls.length;
    wire.sendBytes(request(sized, id, sizeBody(64 * kibibyte)));
    await until(() => edge.upstream.calls.length > before, "the request has come");
    // The kernel's buffers grow by themselves: see whether they still do.
    if ((await waiting(edge)) > 32 * kibibyte) isSteady = await staysFor(30, () => waiting(edge));
  }
  expect(isSteady).toBe(true);
}

for (const transport of transports) {
  describe(`client that does not read on ${transport}`, () => {
    test("it is closed with Close 1 above the bound, and memory stays below it", async () => {
      await using edge = await startEdge({ settings: bounded });
      const wire = await openStalled(edge, transport);
      let most = 0;

      for (let id = 100; id < 1000 && edge.edge.connections > 0; id++) {
        wire.sendBytes(request(sized, id, sizeBody(100 * kibibyte)));
        await until(() => edge.upstream.calls.length >= id - 99, "the request", 300).catch(
          () => {},
        );
        most = Math.max(most, await waiting(edge));
        if ((await edge.metric("holdfast_slow_consumers_closed_total")) > 0) break;
      }

      expect(most).toBeWithin(boundBytes / 2, boundBytes + 1);
      expect(await waiting(edge)).toBeLessThan(200 * kibibyte); // one that is half on the wire
      expect(await edge.metric("holdfast_closes_total", { code: "ServerError" })).toBe(1);
    });

    test("it finds its Close when it reads on within the linger", async () => {
      const settings = { ...bounded, EDGE_CLOSE_LINGER_MS: 1500 };
      await using edge = await startEdge({ settings });
      const wire = await openStalled(edge, transport);
      for (let id = 100; id < 300; id++) {
        wire.sendBytes(request(sized, id, sizeBody(100 * kibibyte)));
      }
      const slow = () => edge.metric("holdfast_slow_consumers_closed_total", { transport });
      await until(async () => (await slow()) === 1, "the node gives up");

      wire.resume();

      await expectClose(wire, transport, 1, "slow consumer");
    });

    test("it may have as much waiting as the bound says", async () => {
      await using edge = await startEdge({ settings: bounded });
      const wire = await openStalled(edge, transport);
      await fill(edge, wire);
      const rest = boundBytes - (await waiting(edge)) - 10; // a header has ten bytes

      wire.sendBytes(request(sized, 90, sizeBody(rest)));
      await until(async () => (await waiting(edge)) === boundBytes, "the bound is reached");

      wire.resume();
      let last = await wire.next();
      while (last.type !== "response" || last.requestId !== 90) last = await wire.next();
      expect(last.body.length).toBe(rest);
    });

    test("one byte above the bound is too much", async () => {
      await using edge = await startEdge({ settings: bounded });
      const wire = await openStalled(edge, transport);
      await fill(edge, wire);
      const rest = boundBytes - (await waiting(edge)) - 10;

      wire.sendBytes(request(sized, 90, sizeBody(rest + 1)));

      const slow = () => edge.metric("holdfast_slow_consumers_closed_total", { transport });
      await until(async () => (await slow()) === 1, "the node gives up");
    });

    test("many small packets are bounded by their number", async () => {
      const settings = { ...plain, EDGE_OUTBOUND_PACKETS_MAX: 500, EDGE_IN_FLIGHT_MAX: 100_000 };
      await using edge = await startEdge({ settings });
      const wire = await openStalled(edge, transport);
      await fill(edge, wire);

      for (let id = 1; id <= 510; id++) wire.sendBytes(request(Command.heartbeat, id));

      const slow = () => edge.metric("holdfast_slow_consumers_closed_total", { transport });
      await until(async () => (await slow()) === 1, "the node gives up");
      expect(await edge.metric("holdfast_outbound_queue_bytes")).toBeLessThan(boundBytes);
    });

    test("single packet above the bound reaches a client that reads", async () => {
      const settings = { ...plain, EDGE_OUTBOUND_BYTES_MAX: 64 * kibibyte };
      await using edge = await startEdge({ settings });
      const { wire } = await openSession(edge, transport);

      const answer = await wire.request(sized, sizeBody(5 * mebibyte));

      expect(answer.body.length).toBe(5 * mebibyte);
    });

    test("slow reader gets several MiB in order, over many partial writes", async () => {
      const settings = { EDGE_IN_FLIGHT_MAX: 1000, EDGE_INBOUND_BYTES_PER_SECOND: 0 };
      await using edge = await startEdge({ settings: { ...plain, ...settings } });
      const wire = await openStalled(edge, transport);
      const bodies = Array.from({ length: 100 }, (_, index) => noise(1 + index * 1500, index + 1));
      bodies.forEach((body, index) => {
        wire.sendBytes(request(echo, index + 100, body));
      });
      await until(() => edge.upstream.calls.length === bodies.length, "all have been asked");
      expect(await waiting(edge)).toBeGreaterThan(mebibyte);
      const throttle = setInterval(() => {
        wire.resume();
        setTimeout(() => wire.pause(), 1);
      }, 4);

      for (const [index, body] of bodies.entries()) {
        const answer = await wire.next(10_000);
        expect(answer).toMatchObject({ type: "response", requestId: index + 100 });
        expect(Buffer.compare(answer.body, body)).toBe(0);
      }

      clearInterval(throttle);
      wire.resume();
      await until(async () => (await waiting(edge)) === 0, "nothing waits");
    });

    test("bytes of all connections together are bounded", async () => {
      const settings = {
        ...plain,
        EDGE_OUTBOUND_BYTES_MAX: 4 * mebibyte,
        EDGE_NODE_OUTBOUND_BYTES_MAX: 5 * mebibyte,
      };
      await using edge = await startEdge({ settings });
      const wires = [await openStalled(edge, transport), await openStalled(edge, transport)];
      let most = 0;

      for (let id = 100; id < 200; id++) {
        for (const wire of wires) wire.sendBytes(request(sized, id, sizeBody(100 * kibibyte)));
        const calls = edge.upstream.calls.length;
        await until(() => edge.upstream.calls.length > calls, "a request", 100).catch(() => {});
        most = Math.max(most, await waiting(edge));
        if ((await edge.metric("holdfast_slow_consumers_closed_total")) > 0) break;
      }

      expect(most).toBeWithin(4 * mebibyte, 5 * mebibyte + 1);
      expect(await edge.metric("holdfast_slow_consumers_closed_total")).toBe(1);
    });

    test("first packet of each of many connections counts in the node's bound, too", async () => {
      const settings = { ...plain, EDGE_NODE_OUTBOUND_BYTES_MAX: 8 * mebibyte };
      await using edge = await startEdge({ settings });
      const wires: Wire[] = [];
      for (let count = 0; count < 12; count++) wires.push(await openStalled(edge, transport));
      let most = 0;

      for (const [index, wire] of wires.entries()) {
        wire.sendBytes(request(sized, 100, sizeBody(8 * mebibyte)));
        await until(() => edge.upstream.calls.length > index, "the request has come");
        most = Math.max(most, await waiting(edge));
      }

      expect(most).toBeLessThan(8 * mebibyte + 1);
      expect(await edge.metric("holdfast_slow_consumers_closed_total")).toBeGreaterThan(0);
    });

    test("clients that read are served while the node's bound is reached by others", async () => {
      const settings = { ...plain, EDGE_NODE_OUTBOUND_BYTES_MAX: 8 * mebibyte };
      await using edge = await startEdge({ settings });
      const stalled = await openStalled(edge, transport);
      stalled.sendBytes(request(sized, 100, sizeBody(7 * mebibyte)));
      stalled.sendBytes(request(sized, 101, sizeBody(900 * kibibyte)));
      await until(() => edge.upstream.calls.length === 2, "it stalls");
      const wire = await edge.open(transport);

      accepted(await auth(wire, await edge.issueToken("reader")));
      for (let count = 0; count < 20; count++) {
        const answer = await wire.request(echo, noise(200 * kibibyte));
        expect(answer.body.length).toBe(200 * kibibyte);
      }
    });
  });
}
