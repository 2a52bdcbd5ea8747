/** Pings and heartbeats are answered at any time: what that costs must be bounded. [I6] */
import { describe, expect, test } from "bun:test";
import { Command } from "@holdfast/protocol";
import { until } from "../support/arrivals.ts";
import { startEdge, type TestEdge, transports } from "../support/edge.ts";
import { noise, openSession, request } from "../support/packets.ts";
import { echo } from "../support/scripted-upstream.ts";

const mebibyte = 1024 * 1024;
const strangerBytesMax = 64 * 1024; // the default of EDGE_PRE_AUTH_BYTES_MAX
const settings = { EDGE_OUTBOUND_BYTES_MAX: mebibyte };
const payload = new Uint8Array(125);

const waiting = (edge: TestEdge) => edge.metric("holdfast_outbound_queue_bytes");
const slow = (edge: TestEdge) => edge.metric("holdfast_slow_consumers_closed_total");

for (const transport of transports) {
  describe(`stranger on ${transport} that asks for heartbeats and does not read`, () => {
    test("it is closed above what a stranger may make the node keep", async () => {
      await using edge = await startEdge();
      const wire = await edge.open(transport);
      const beats = 2000;
      const beat = noise(16 * 1024);
      wire.pause();
      let most = 0;

      for (let id = 1; id < beats && (await slow(edge)) === 0; id++) {
        wire.sendBytes(request(Command.heartbeat, id, beat));
        await until(() => wire.bufferedBytes === 0, "it has left", 300).catch(() => {});
        most = Math.max(most, await waiting(edge));
      }

      expect(await slow(edge)).toBe(1);
      expect(most).toBeLessThan(strangerBytesMax + 1);
    });

    test("one that reads has as many answered as it likes", async () => {
      await using edge = await startEdge();
      const wire = await edge.open(transport);
      const beat = noise(strangerBytesMax);

      const asking = Array.from({ length: 20 }, () => wire.request(Command.heartbeat, beat));

      expect((await Promise.all(asking)).every(({ body }) => body.length === beat.length)).toBe(
        true,
      );
    });
  });
}

describe("client that pings and does not read", () => {
  const bounds = { "before login": strangerBytesMax, "after login": mebibyte };
  for (const [state, bytesMax] of Object.entries(bounds)) {
    test(`it is closed above its bound ${state}`, async () => {
      await using edge = await startEdge({ settings });
      const wire =
        state === "before login" ? await edge.open("ws") : (await openSession(edge, "ws")).wire;
      wire.pause();
      let most = 0;

      for (let round = 0; round < 400 && (await slow(edge)) === 0; round++) {
        for (let count = 0; count < 1000; count++) wire.ping(payload);
        await until(() => wire.bufferedBytes === 0, "the pings have left", 300).catch(() => {});
        most = Math.max(most, await waiting(edge));
      }

      expect(await slow(edge)).toBe(1);
      expect(most).toBeWithin(0, bytesMax + 1024); // the answer that was too much is in it
      wire.reset();
      await until(async () => (await waiting(edge)) === 0, "nothing waits");
    });
  }

  test("one that reads on below its bound has every ping and request answered", async () => {
    await using edge = await startEdge({ settings: { EDGE_OUTBOUND_BYTES_MAX: 64 * mebibyte } });
    const { wire } = await openSession(edge, "ws");
    wire.pause();
    let sent = 0;
    for (; sent < 400_000 && (await waiting(edge)) === 0; ) {
      for (let count = 0; count < 1000; count++, sent++) wire.ping(payload);
      await until(() => wire.bufferedBytes === 0, "the pings have left", 300).catch(() => {});
    }

    wire.resume();
    const answer = await wire.request(echo, payload);

    expect(answer.body.length).toBe(payload.length);
    await until(() => wire.pongs.length === sent, "all pongs");
    expect(await waiting(edge)).toBe(0);
  });
});
