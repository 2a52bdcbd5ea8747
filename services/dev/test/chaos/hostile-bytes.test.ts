/**
 * Bytes that are no packets, against one node over real sockets, before and after login. Goal: each
 * costs its sender the connection and nobody else anything. [I6] [I8]
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Command, compressBody, encodeRequest, encodeTcpHandshake } from "@holdfast/protocol";
import { createDraw } from "../../prove/draw.ts";
import {
  dial,
  each,
  endOf,
  enter,
  mutate,
  readSamples,
  type Sample,
  truncations,
} from "../attack.ts";
import { type Report, read, startNeighbours } from "../neighbour.ts";
import { seedOf, startTestCluster, type TestCluster } from "../support.ts";

const mebibyte = 1024 * 1024;
const atOnce = 64;
let cluster: TestCluster;
let urls: { readonly tcp: string; readonly ws: string };
beforeAll(async () => {
  cluster = await startTestCluster({
    EDGE_CLOSE_LINGER_MS: "100",
    EDGE_HANDSHAKE_TIMEOUT_MS: "500",
    EDGE_AUTH_TIMEOUT_MS: "3000",
  });
  urls = cluster.description.edges[0]!; // there are three
}, 60_000);
afterAll(() => cluster.stop());

/** Nobody noticed, nothing was thrown, and memory stayed within what a burst may take. */
function expectUnharmed(report: Report, grownMax = 96 * mebibyte): void {
  expect(report.answered).toBe(report.asked);
  expect(report.slowestMs).toBeLessThan(2000);
  expect(report).toMatchObject({ exceptions: 0, isAlive: true });
  expect(report.grownBytes).toBeLessThan(grownMax);
}

/** A stranger's TCP connection that says this and no more; true when the node let it go. */
async function hurl({ bytes, version }: Sample): Promise<boolean> {
  const socket = dial(urls.tcp);
  socket.write(encodeTcpHandshake({ version, codec: 1, platform: 9 }));
  socket.end(bytes);
  const isEnded = await endOf(socket, 5000);
  socket.destroy();
  return isEnded;
}

/** The same in a WebSocket message, or behind a login; some packets are good, so it leaves then. */
async function send(url: string, { bytes, version }: Sample, token: string | null) {
  const wire = await enter(url, token, version);
  wire.sendBytes(bytes);
  wire.end();
  const closed = await wire.waitClosed(5000).catch(() => null);
  wire.reset();
  return closed !== null;
}

describe("bytes of the vectors, spoiled", () => {
  test("every truncation, by TCP and WebSocket, ends its connection and no other", async () => {
    const samples = truncations(await readSamples(), 64);
    const token = await cluster.issue("truncated", 1000);
    const neighbours = await startNeighbours(cluster);
    let left = 0;

    await each(samples, atOnce, async (sample, index) => {
      const isEnded =
        index % 3 > 0 ? await hurl(sample) : await send(urls.ws, sample, index > 9 ? null : token);
      if (!isEnded) left++;
    });

    expect(left).toBe(0);
    expect(samples.length).toBeGreaterThan(1000);
    const errors = await read(cluster.description.edges[0]!.admin, "holdfast_decode_errors_total");
    process.stderr.write(`${samples.length} truncations, ${errors} of them no packets\n`);
    expect(errors).toBeGreaterThan(samples.length / 5);
    expectUnharmed(await neighbours.stop());
  }, 60_000);

  test("mutants and noise, before and after login, end their connection and no other", async () => {
    const draw = createDraw(seedOf("mutants"));
    const samples = await readSamples();
    const mutants = Array.from({ length: 5000 }, (_, index): Sample => {
      if (index % 5 > 0) return mutate(samples[index % samples.length]!, draw); // in bounds
      const bytes = crypto.getRandomValues(new Uint8Array(Math.floor(draw() * 3000)));
      return { bytes, version: draw() < 0.5 ? 1 : 2 };
    });
    const neighbours = await startNeighbours(cluster);
    let left = 0;

    await each(mutants, atOnce, async (mutant, index) => {
      const token = index % 2 === 0 ? await cluster.issue(`mutant-${index % 50}`, 1000) : null;
      const isEnded = await send(index % 4 < 2 ? urls.tcp : urls.ws, mutant, token);
      if (!isEnded) left++;
    });

    expect(left).toBe(0);
    expectUnharmed(await neighbours.stop());
  }, 60_000);
});

/** A header that announces a body which never comes. */
function announcing(bodyBytes: number): Uint8Array {
  const bytes = encodeRequest(1, 16, 9, 0, new Uint8Array(0));
  new DataView(bytes.buffer).setUint32(7, bodyBytes); // three bytes, and one of the timeout
  return bytes;
}

describe("bodies that cost more than they say", () => {
  test.each([
    { what: "16 MiB are announced, which is refused at once", bytes: 0xffffff, isRefused: true },
    { what: "1 MiB is announced, and waited for at no cost", bytes: mebibyte, isRefused: false },
  ])(
    "200 connections stay cheap when $what",
    async ({ bytes, isRefused }) => {
      const neighbours = await startNeighbours(cluster);
      const wires = await Promise.all(
        Array.from({ length: 200 }, async (_, index) =>
          enter(urls.tcp, await cluster.issue(`announcer-${index}`), 1),
        ),
      );

      for (const wire of wires) wire.sendBytes(announcing(bytes));
      await Bun.sleep(500);
      const waiting = wires.filter((wire) => wire.receivedBytes > 0).length;
      const ends = isRefused ? await Promise.all(wires.map((wire) => wire.waitClosed())) : [];
      for (const wire of wires) wire.reset();

      expect(waiting).toBe(200);
      expect(ends.every(({ closePush }) => closePush?.code === 3)).toBe(true);
      expectUnharmed(await neighbours.stop(), 48 * mebibyte);
    },
    60_000,
  );

  test("bombs, of gzip in packets and heartbeats, are refused before they are inflated", async () => {
    const zeros = compressBody(new Uint8Array(64 * mebibyte), 1)!; // zeros always become fewer
    const bomb = (command: number) =>
      encodeRequest(1, command, 9, 0, zeros, { isCompressed: true });
    const neighbours = await startNeighbours(cluster);
    const codes: (number | undefined)[] = [];

    await each(Array.from({ length: 120 }), 16, async (_, index) => {
      const token = index % 2 === 0 ? await cluster.issue(`bomber-${index}`) : null;
      const wire = await enter(index % 4 < 2 ? urls.tcp : urls.ws, token, 1);
      wire.sendBytes(bomb(index % 3 === 0 ? Command.heartbeat : 16));
      codes.push((await wire.waitClosed()).closePush?.code);
      wire.reset();
    });

    expect(new Set(codes)).toEqual(new Set([3]));
    // What was inflated of each, up to the limit, is garbage until it is collected.
    expectUnharmed(await neighbours.stop(), 128 * mebibyte);
  }, 60_000);
});
