/** Sockets of the WebSocket port: what one may cost before its upgrade, in a message, and after. */
import { describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { HttpUpgradeError } from "@holdfast/client/wire";
import { Command } from "@holdfast/protocol";
import { until, within } from "../support/arrivals.ts";
import { startEdge, type TestEdge } from "../support/edge.ts";
import { auth, expectClose, noise, openSession, request, settle } from "../support/packets.ts";
import { echo } from "../support/scripted-upstream.ts";

const kibibyte = 1024;
const headBytes = 13 + 65_535 + 24; // of a packet, with all that may precede its body
const upgrade =
  "GET /v2?version=1&codec=1&platform=9 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n" +
  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

interface Bare {
  readonly socket: Socket;
  readonly ended: Promise<string>; // all that came
  readonly gone: Promise<void>;
}

/** Says this, and stays when the node ends its direction. */
async function dial(edge: TestEdge, said = ""): Promise<Bare> {
  const port = Number(new URL(edge.url("ws")).port);
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  const ended = Promise.withResolvers<string>();
  const gone = Promise.withResolvers<void>();
  let heard = "";
  socket.on("data", (chunk: Uint8Array) => {
    heard += Buffer.from(chunk).toString("latin1");
  });
  socket.on("end", () => ended.resolve(heard));
  socket.on("error", () => {}); // the node may reset it
  socket.on("close", () => {
    ended.resolve(heard);
    gone.resolve();
  });
  await new Promise((resolve) => socket.once("connect", resolve));
  if (said !== "") socket.write(said, "latin1");
  return { socket, ended: ended.promise, gone: gone.promise };
}

async function refusal(edge: TestEdge): Promise<HttpUpgradeError> {
  const error = await edge.open("ws").catch((caught) => caught);
  expect(error).toBeInstanceOf(HttpUpgradeError);
  return error;
}

describe("sockets before their upgrade", () => {
  test("they count as strangers from their acceptance on", async () => {
    await using edge = await startEdge({ settings: { EDGE_UNAUTHENTICATED_MAX: 3 } });
    const silent = [await dial(edge), await dial(edge, "GET /v2"), await dial(edge)];
    await until(() => edge.edge.connections === 3, "all are counted");

    expect((await refusal(edge)).status).toBe(503);

    silent[0]!.socket.destroy(); // there are three
    await until(() => edge.edge.connections === 2, "one has left");
    await settle(await edge.open("ws"));
    for (const { socket } of silent) socket.destroy();
  });

  test("at the deadline the silent end without a word, and who has begun is told 408", async () => {
    await using edge = await startEdge({ settings: { EDGE_HANDSHAKE_TIMEOUT_MS: 200 } });
    const silent = await dial(edge);
    const slow = await dial(edge, upgrade.slice(0, -2));

    expect(await within(silent.ended, "the end")).toBe("");
    expect(await within(slow.ended, "the end")).toStartWith("HTTP/1.1 408 ");
    await until(() => edge.edge.connections === 0, "both have gone");
  });

  test("half a request counts in the memory of the node", async () => {
    await using edge = await startEdge();
    const held = () => edge.metric("holdfast_body_memory_bytes");
    const bare = await dial(edge, `${upgrade.slice(0, -2)}X-Large: ${"a".repeat(8 * kibibyte)}`);
    await until(async () => (await held()) > 8 * kibibyte, "it is held");

    bare.socket.write("\r\n\r\n");

    await until(async () => (await held()) === 0, "it is not");
    bare.socket.destroy();
  });

  test("a packet in the segment of the upgrade is answered, behind the upgrade", async () => {
    await using edge = await startEdge();
    const packet = Buffer.from(request(Command.heartbeat, 7, Buffer.from("hello")));
    const frame = Buffer.concat([Uint8Array.of(0x82, 0x80 | packet.length, 0, 0, 0, 0), packet]);
    const bare = await dial(edge, `${upgrade}${frame.toString("latin1")}\x88\x80\0\0\0\0`);

    const answer = await within(bare.ended, "the end");

    expect(answer).toStartWith("HTTP/1.1 101 ");
    expect(answer).toContain("\r\n\r\n\x82");
    expect(answer).toEndWith("hello\x88\0");
    bare.socket.destroy();
  });

  test("beyond a limit only so many wait for their 503; then the oldest is ended", async () => {
    const limits = { EDGE_CONNECTIONS_MAX: 1, EDGE_UNAUTHENTICATED_MAX: 1 };
    await using edge = await startEdge({ settings: { ...limits, EDGE_WS_REFUSALS_MAX: 2 } });
    await settle(await edge.open("ws"));
    const rejected = () => edge.metric("holdfast_connections_rejected_total", { reason: "limit" });
    const waiting = [await dial(edge), await dial(edge)];
    await until(async () => (await rejected()) === 2, "both are turned away");

    const third = await dial(edge);

    await within(waiting[0]!.gone, "the end of the oldest"); // there are two
    expect(await edge.metric("holdfast_refusals_cut_total")).toBe(1);
    for (const { socket } of [waiting[1]!, third]) socket.write(upgrade);
    for (const { ended } of [waiting[1]!, third]) {
      expect(await within(ended, "the answer")).toMatch(/^HTTP\/1.1 503 .*Retry-After: \d+\r\n/s);
    }
    expect(await rejected()).toBe(3);
    expect(edge.edge.connections).toBe(1);
    for (const { socket } of [...waiting, third]) socket.destroy();
  });

  test("a drain answers those who have not asked yet with 503", async () => {
    await using edge = await startEdge();
    const bare = await dial(edge);
    await until(() => edge.edge.connections === 1, "it has come");

    await edge.edge.drain();

    expect(await within(bare.ended, "the end")).toStartWith("HTTP/1.1 503 ");
    bare.socket.destroy();
  });
});

describe("messages that are not whole", () => {
  const part = (bytes: number) => ({ opcode: 2, payload: noise(bytes), isFinal: false });
  const held = (edge: TestEdge) => edge.metric("holdfast_body_memory_bytes");

  test("connection that would pass the node's bound with fragments gets Close 1", async () => {
    await using edge = await startEdge({
      settings: { EDGE_NODE_BODY_BYTES_MAX: 1024 * kibibyte },
    });
    const first = (await openSession(edge, "ws")).wire;
    const second = (await openSession(edge, "ws")).wire;
    first.sendFrame(part(600 * kibibyte));
    await until(async () => (await held(edge)) >= 600 * kibibyte, "the first has come");

    second.sendFrame(part(600 * kibibyte));

    await expectClose(second, "ws", 1, "memory limit");
    await settle((await openSession(edge, "ws")).wire);
    first.reset();
    await until(async () => (await held(edge)) === 0, "nothing is held");
  });

  test("half a frame of a stranger counts, until its message is whole", async () => {
    await using edge = await startEdge();
    const packet = Buffer.from(request(Command.heartbeat, 7, noise(60 * kibibyte)));
    const head = Uint8Array.of(0x82, 0xfe, packet.length >> 8, packet.length & 0xff, 0, 0, 0, 0);
    const bare = await dial(edge, upgrade);
    bare.socket.write(Buffer.concat([head, packet.subarray(0, 50 * kibibyte)]));
    await until(async () => (await held(edge)) >= 50 * kibibyte, "it is held");

    bare.socket.write(packet.subarray(50 * kibibyte));

    await until(async () => (await held(edge)) === 0, "it is not");
    bare.socket.destroy();
  });

  // A packet that is too large gets our own Close; above the bound of a message there is no packet.
  const bounds = [
    ["before login", 64 * kibibyte + headBytes],
    ["after login", 1024 * kibibyte + headBytes + 64 * kibibyte],
  ] as const;
  for (const [when, mostBytes] of bounds) {
    const open = async (edge: TestEdge) =>
      when === "before login" ? edge.open("ws") : (await openSession(edge, "ws")).wire;

    test(`${when} a message as large as the bound is looked at`, async () => {
      await using edge = await startEdge();
      const wire = await open(edge);
      const whole = request(echo, 9, noise(mostBytes - request(echo, 9).length));

      wire.sendFragments([whole.subarray(0, 1000), whole.subarray(1000)]);

      await expectClose(wire, "ws", 3, "too-large");
    });

    test(`${when} one byte more is refused at the head of its frame, with 1009`, async () => {
      await using edge = await startEdge();
      const wire = await open(edge);

      wire.sendFrame(part(1000));
      wire.sendFrame({ opcode: 0, payload: noise(mostBytes - 999), isFinal: true });

      expect(await wire.waitClosed()).toMatchObject({ closePush: null, wsCode: 1009 });
      const broken = { reason: "frame", transport: "ws" };
      expect(await edge.metric("holdfast_decode_errors_total", broken)).toBe(1);
      expect(await held(edge)).toBe(0);
    });
  }
});

describe("the end of a WebSocket", () => {
  test.each([1000, 1001, 3000, 4999])("close %d is answered with its own code", async (code) => {
    await using edge = await startEdge();
    const { wire } = await openSession(edge, "ws");

    wire.sendClose(code, "bye");

    expect(await wire.waitClosed()).toMatchObject({ closePush: null, wsCode: code });
    expect(await edge.metric("holdfast_closes_total", { by: "client" })).toBe(1);
  });

  test("who said close has left, though its socket stays for the linger", async () => {
    await using edge = await startEdge({ settings: { EDGE_CLOSE_LINGER_MS: 200 } });
    const bare = await dial(edge, `${upgrade}\x88\x80\0\0\0\0`);
    await within(bare.ended, "its FIN");
    const talk = setInterval(() => bare.socket.write("more"), 20);

    await within(bare.gone, "the end").finally(() => clearInterval(talk));

    await until(() => edge.edge.connections === 0, "it is not counted");
  });

  test("a socket that is refused may stay only for the linger, too", async () => {
    await using edge = await startEdge({ settings: { EDGE_CLOSE_LINGER_MS: 200 } });
    const bare = await dial(edge, "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(await within(bare.ended, "its FIN")).toStartWith("HTTP/1.1 404 ");
    const talk = setInterval(() => bare.socket.write("more"), 20);

    await within(bare.gone, "the end").finally(() => clearInterval(talk));

    await until(() => edge.edge.connections === 0, "it is not counted");
  });

  test("a login while the client's bytes drip in goes on as ever", async () => {
    await using edge = await startEdge();
    const wire = await edge.open("ws");
    const packet = request(echo, 50, noise(100));
    wire.sendFrame({ opcode: 2, payload: packet.subarray(0, 40), isFinal: false });
    wire.sendFrame({ opcode: 9, payload: noise(5), isFinal: true });
    await wire.nextPong();

    wire.sendFrame({ opcode: 0, payload: packet.subarray(40), isFinal: true });

    expect(await wire.next()).toMatchObject({ requestId: 50, status: 5 });
    await auth(wire, await edge.issueToken("dripping"));
  });
});
