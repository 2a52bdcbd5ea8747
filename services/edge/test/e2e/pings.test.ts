/** Pings are answered by the library: what their answers cost must still be bounded. [I6] */
import { describe, expect, test } from "bun:test";
import { until } from "../support/arrivals.ts";
import { startEdge, type TestEdge } from "../support/edge.ts";
import { openSession } from "../support/packets.ts";
import { echo } from "../support/scripted-upstream.ts";

const mebibyte = 1024 * 1024;
const settings = { EDGE_OUTBOUND_BYTES_MAX: mebibyte };
const payload = new Uint8Array(125);

const waiting = (edge: TestEdge) => edge.metric("holdfast_outbound_queue_bytes");
const slow = (edge: TestEdge) => edge.metric("holdfast_slow_consumers_closed_total");

describe("client that pings and does not read", () => {
  for (const state of ["before login", "after login"] as const) {
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
      expect(most).toBeWithin(0, mebibyte + 1024); // the answer that was too much is in it
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
