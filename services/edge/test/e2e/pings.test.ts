/** Pings and heartbeats are answered at any time: what that costs must be bounded. [I6] */
import { describe, expect, test } from "bun:test";
import { Command } from "@holdfast/protocol";
import { until } from "../support/arrivals.ts";
import { startEdge, type TestEdge, transports } from "../support/edge.ts";
import { noise, openSession, request, settle } from "../support/packets.ts";
import { sized } from "../support/scripted-upstream.ts";

const mebibyte = 1024 * 1024;
const strangerBytesMax = 64 * 1024; // the default of EDGE_PRE_AUTH_BYTES_MAX
const payload = new Uint8Array(125);
/** What is bounded here is what waits to be written, however much is read. */
const settings = { EDGE_INBOUND_BYTES_PER_SECOND: 0, EDGE_INBOUND_PACKETS_PER_SECOND: 0 };

const waiting = (edge: TestEdge) => edge.metric("holdfast_outbound_queue_bytes");
const slow = (edge: TestEdge) => edge.metric("holdfast_slow_consumers_closed_total");

for (const transport of transports) {
  describe(`stranger on ${transport} that asks for heartbeats and does not read`, () => {
    test("it is closed above what a stranger may make the node keep", async () => {
      await using edge = await startEdge({ settings });
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
      await using edge = await startEdge({ settings });
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
  const roundsMax = 400; // to fill the kernel's buffers
  const roundsMore = 20; // they stand for any number
  const pingsOfRound = 2000;
  const owedBytesMax = 32 * 1024; // pongs of one turn, of which the socket took none

  for (const state of ["before login", "after login"]) {
    test(`it is owed what was asked in one turn, and the latest pong, ${state}`, async () => {
      await using edge = await startEdge({ settings });
      const wire =
        state === "before login" ? await edge.open("ws") : (await openSession(edge, "ws")).wire;
      wire.pause();
      let most = 0;
      let sent = 0;

      for (let round = 0, more = roundsMore; round < roundsMax && more > 0; round++) {
        if (most > 0) more--;
        for (let count = 0; count < pingsOfRound; count++, sent++) wire.ping(payload);
        await until(() => wire.bufferedBytes === 0, "the pings have left");
        most = Math.max(most, await waiting(edge));
      }
      wire.ping(Uint8Array.of(7, 7));
      await until(() => wire.bufferedBytes === 0, "the last has left");

      expect(most).toBeWithin(1, owedBytesMax);
      wire.resume();
      await until(
        () => wire.pongs.some(({ length }) => length === 2),
        "the latest is answered",
        20_000,
      );
      expect(wire.pongs.length).toBeLessThan(sent);
      expect(await slow(edge)).toBe(0);
      await settle(wire);
    });
  }

  test("one that reads has every ping answered, in order", async () => {
    await using edge = await startEdge();
    const { wire } = await openSession(edge, "ws");

    for (let count = 0; count < 200; count++) wire.ping(Uint8Array.of(count));

    await until(() => wire.pongs.length === 200, "all pongs");
    expect(wire.pongs.every((pong, index) => pong[0] === index)).toBe(true);
  });

  test("a client that is slow to read has its ping answered ahead of what waits", async () => {
    await using edge = await startEdge({ settings: { EDGE_GZIP_MIN_BYTES: 16 * mebibyte } });
    const { wire } = await openSession(edge, "ws");
    wire.pause();
    wire.sendBytes(request(sized, 50, Uint8Array.of(0, 0x60, 0, 0))); // 6 MiB
    wire.sendBytes(request(sized, 51, Uint8Array.of(0, 0x10, 0, 0)));
    await until(async () => (await waiting(edge)) > mebibyte, "it waits");
    wire.ping(Uint8Array.of(7, 7));
    await until(() => wire.bufferedBytes === 0, "the ping has left");
    await settle(await edge.open("ws")); // and has been read

    const readBefore = wire.nextPong().then(() => wire.receivedBytes);
    wire.resume();

    expect((await wire.next()).body.length).toBe(6 * mebibyte);
    expect((await wire.next()).body.length).toBe(mebibyte);
    expect(await readBefore).toBeLessThan(6.5 * mebibyte);
  });
});
