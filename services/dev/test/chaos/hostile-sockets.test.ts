/**
 * Sockets that are opened to be a burden, against one node: silence, drops, half-open handshakes,
 * HTTP that is none, WebSocket frames that never end. Goal: each is let go in time, at a bounded
 * cost, and the node's clients notice nothing. [I6]
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Socket } from "node:net";
import { openWire } from "@holdfast/client/wire";
import { encodeTcpHandshake } from "@holdfast/protocol";
import { until } from "../../prove/ground.ts";
import { dial, each, endOf, enter } from "../attack.ts";
import { type Report, read, startNeighbours } from "../neighbour.ts";
import { startTestCluster, type TestCluster } from "../support.ts";

const mebibyte = 1024 * 1024;
const authTimeoutMs = 3000;
let cluster: TestCluster;
let edge: { readonly tcp: string; readonly ws: string; readonly admin: string };
let descriptors = 0;
beforeAll(async () => {
  cluster = await startTestCluster({
    EDGE_CLOSE_LINGER_MS: "100",
    EDGE_HANDSHAKE_TIMEOUT_MS: "1000",
    EDGE_AUTH_TIMEOUT_MS: String(authTimeoutMs),
    EDGE_OUTBOUND_BYTES_MAX: String(mebibyte),
  });
  edge = cluster.description.edges[0]!; // there are three
  descriptors = await read(edge.admin, "process_open_fds");
}, 60_000);
afterAll(() => cluster.stop());

async function expectUnharmed(report: Report, grownMax = 96 * mebibyte): Promise<void> {
  expect(report.answered).toBe(report.asked);
  expect(report.slowestMs).toBeLessThan(2000);
  expect(report).toMatchObject({ exceptions: 0, isAlive: true });
  expect(report.grownBytes).toBeLessThan(grownMax);
  await until("all descriptors to be given back", async () => {
    return (await read(edge.admin, "process_open_fds")) <= descriptors + 3;
  });
}

async function sockets(count: number, url: string): Promise<Socket[]> {
  const opened: Socket[] = [];
  await each(Array.from({ length: count }), 200, async () => {
    const socket = dial(url);
    await new Promise<void>((resolve) => socket.once("connect", resolve).once("error", resolve));
    opened.push(socket);
  });
  return opened;
}

/** How many of them the node has ended within the time. */
async function ended(all: readonly Socket[], withinMs: number): Promise<number> {
  const ends = await Promise.all(all.map((socket) => endOf(socket, withinMs)));
  for (const socket of all) socket.destroy();
  return ends.filter((isEnded) => isEnded).length;
}

const hello = encodeTcpHandshake({ version: 1, codec: 1, platform: 9 });

describe("TCP connections that do nothing", () => {
  test("2,000 that never shake hands are let go at the deadline of the handshake", async () => {
    const neighbours = await startNeighbours(cluster);

    const silent = await sockets(2000, edge.tcp);

    expect(await ended(silent, 4000)).toBe(2000);
    await expectUnharmed(await neighbours.stop());
  }, 60_000);

  test("silence after the handshake, and packets and headers that drip, are let go", async () => {
    const neighbours = await startNeighbours(cluster);
    const silent = await sockets(500, edge.tcp);
    for (const socket of silent) socket.write(hello);
    const packets = await sockets(100, edge.tcp);
    const headers = await sockets(300, edge.ws);
    for (const socket of headers) socket.write("GET /v2 HTTP/1.1\r\nHost: x\r\nX-a: ");
    // A request whose body comes byte by byte: as slow as it is, none of it is a packet.
    const stream = [...hello, 0x01, 0x10, 0, 0, 0, 1, 0, 0, 0, 0x10, 0];
    let at = 0;
    const drip = setInterval(() => {
      const byte = Uint8Array.of(stream[at++] ?? 0x61);
      for (const socket of packets) if (!socket.destroyed) socket.write(byte);
      for (const socket of headers) if (!socket.destroyed) socket.write("a");
    }, 100);

    const gone = await Promise.all([
      ended(silent, authTimeoutMs + 3000),
      ended(packets, authTimeoutMs + 3000),
      ended(headers, authTimeoutMs + 3000),
    ]);
    clearInterval(drip);

    expect(gone).toEqual([500, 100, 300]);
    await expectUnharmed(await neighbours.stop());
  }, 60_000);
});

const upgrade =
  "GET /v2?version=1&codec=1&platform=9 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n" +
  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n";
const garbage = [
  "\r\n\r\n\r\n\r\n",
  "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
  "GET / HTTP/9.9\r\nHost: x\r\n\r\n",
  "GET /v2 HTTP/1.1\r\nHost: [:::\r\n\r\n",
  "GET http://[/ HTTP/1.1\r\nHost: x\r\n\r\n",
  "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
  "POST /v2 HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
  "POST /v2 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
  `GET /${"a".repeat(40_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
  `GET / HTTP/1.1\r\nHost: x\r\n${"X-a: b\r\n".repeat(3000)}\r\n`,
  `${upgrade}Sec-WebSocket-Key: \x00\x01\r\n\r\n`,
  `${upgrade}Sec-WebSocket-Key: short\r\n\r\n\x82\xff\xff\xff`,
  `${upgrade}\r\n`,
  `${upgrade.replace("version=1", "version=%zz%00")}Sec-WebSocket-Key: ${"a".repeat(24)}\r\n\r\n`,
];

describe("HTTP that is none", () => {
  test("garbage on the WebSocket port is answered with an error or an end, never with 500", async () => {
    const neighbours = await startNeighbours(cluster);
    const answers: string[] = [];

    await each([...garbage, ...garbage, ...garbage], 14, async (text) => {
      const socket = dial(edge.ws);
      let answer = "";
      socket.on("data", (chunk: Uint8Array) => {
        answer += Buffer.from(chunk).toString("latin1");
      });
      socket.write(Buffer.from(text, "latin1"));
      await until("an answer or an end", () => answer !== "" || socket.readableEnded, 3000).catch(
        () => {},
      );
      socket.destroy();
      answers.push(answer.slice(9, 12));
    });

    process.stderr.write(`${JSON.stringify(Object.groupBy(answers, (status) => status))}\n`);
    expect(answers).not.toContain("500");
    await expectUnharmed(await neighbours.stop());
  }, 60_000);
});

describe("WebSocket frames that are a burden", () => {
  const part = new Uint8Array(64 * 1024);

  test("messages that never end, or are too long, end their connection at the limit", async () => {
    const neighbours = await startNeighbours(cluster);
    const codes: (number | null)[] = [];

    await each(Array.from({ length: 60 }), 20, async (_, index) => {
      const token = index % 2 === 0 ? await cluster.issue(`endless-${index}`) : null;
      const wire = await enter(edge.ws, token, 1);
      let hasEnded = false;
      void wire.closed.then(() => {
        hasEnded = true;
      });
      if (index % 3 === 0) wire.sendBytes(new Uint8Array(4 * mebibyte));
      for (let count = 0; index % 3 > 0 && count < 64 && !hasEnded; count++) {
        wire.sendFrame({ opcode: count === 0 ? 2 : 0, payload: part, isFinal: false });
        await Bun.sleep(1);
      }
      codes.push((await wire.waitClosed()).wsCode);
      wire.reset();
    });

    // A reset may overtake it.
    expect(codes.filter((code) => code !== 1009 && code !== null)).toEqual([]);
    await expectUnharmed(await neighbours.stop(), 128 * mebibyte);
  }, 60_000);

  test("frames that break the rules end their connection", async () => {
    const neighbours = await startNeighbours(cluster);
    const wrong = [
      { opcode: 3, payload: part.subarray(0, 5) },
      { opcode: 0, payload: part.subarray(0, 5) },
      { opcode: 9, payload: part.subarray(0, 200) },
      { opcode: 9, payload: part.subarray(0, 5), isFinal: false },
      { opcode: 8, payload: Uint8Array.of(3) },
      { opcode: 8, payload: Uint8Array.of(0x03, 0xed) },
      { opcode: 1, payload: Uint8Array.of(0xff, 0xfe) },
      { opcode: 2, payload: part.subarray(0, 5), isMasked: false },
    ];
    let left = 0;

    await each([...wrong, ...wrong], 4, async (frame, index) => {
      const token = index < wrong.length ? await cluster.issue(`rules-${index}`) : null;
      const wire = await enter(edge.ws, token, 1);
      wire.sendFrame(frame);
      const closed = await wire.waitClosed(3000).catch(() => null);
      if (closed === null) left++;
      wire.reset();
    });

    expect(left).toBe(0);
    await expectUnharmed(await neighbours.stop());
  }, 60_000);

  test("strangers who ping and do not read are owed a pong each, and no more", async () => {
    const neighbours = await startNeighbours(cluster);
    const wires = await Promise.all(
      Array.from({ length: 8 }, () => openWire({ url: edge.ws, timeoutMs: 15_000 })),
    );
    const waiting = () => read(edge.admin, "holdfast_outbound_queue_bytes");
    let most = 0;
    for (const wire of wires) wire.pause();

    for (let round = 0; round < 100; round++) {
      for (const wire of wires) {
        for (let count = 0; count < 1000; count++) wire.ping(part.subarray(0, 125));
      }
      await Bun.sleep(5);
      most = Math.max(most, await waiting());
    }

    expect(most).toBeLessThan(wires.length * 32 * 1024); // the pongs of one turn, unanswered
    for (const wire of wires) wire.reset();
    await expectUnharmed(await neighbours.stop());
  }, 60_000);
});
