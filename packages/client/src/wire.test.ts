import { afterEach, describe, expect, test } from "bun:test";
import {
  CloseCode,
  Command,
  decodeMessage,
  encode,
  encodeClose,
  encodePush,
  encodeResponse,
} from "@holdfast/protocol";
import { startScriptedServer } from "./scripted-server.ts";
import { openWire, type Wire, type WireOptions } from "./wire.ts";
import { wireLimits } from "./wire-inbox.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanups.splice(0)) cleanUp();
});

const acceptSuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455, section 1.3
const bytes = (...values: number[]) => Uint8Array.from(values);

async function open(options: WireOptions): Promise<Wire> {
  const wire = await openWire({ timeoutMs: 2_000, ...options });
  cleanups.push(() => wire.reset());
  return wire;
}

async function openTcp(options: Partial<WireOptions> = {}) {
  const server = await startScriptedServer("tcp");
  cleanups.push(() => server.stop());
  const wire = await open({ url: server.url, ...options });
  return { wire, server };
}

/**
 * Bun's own WebSocket server is the other side here, so that our frames meet somebody else's. It
 * echoes messages, and does what a text message tells it.
 */
function startWsServer() {
  const heard: { urls: string[]; pongs: string[]; closes: number[] } = {
    urls: [],
    pongs: [],
    closes: [],
  };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request, self) {
      heard.urls.push(new URL(request.url).search);
      if (request.headers.get("x-refuse") === "yes") return new Response("full", { status: 503 });
      return self.upgrade(request) ? undefined : new Response("no", { status: 400 });
    },
    websocket: {
      message(ws, message) {
        if (message === "ping me") ws.ping("payload");
        else if (message === "close me") {
          ws.sendBinary(encodePush(1, Command.close, encodeClose(CloseCode.serverShutdown, "bye")));
          ws.close(4002, "bye");
        } else if (typeof message === "string") ws.sendText(message);
        else ws.sendBinary(message);
      },
      pong(ws, payload) {
        heard.pongs.push(payload.toString());
        ws.sendText("pong heard");
      },
      close(_, code) {
        heard.closes.push(code);
      },
    },
  });
  cleanups.push(() => void server.stop(true));
  return { url: `ws://127.0.0.1:${server.port}/v2`, heard };
}

describe("openWire on TCP", () => {
  test("requests and packets that nobody asked for are kept apart", async () => {
    const { wire, server } = await openTcp({ version: 2, platform: 3 });
    const visit = await serverVisit(wire, server);

    const answer = wire.request(10, bytes(1), { timeoutMs: 700 });
    const request = await visit.nextRequest();
    visit.push(9, bytes(9));
    visit.answer(request, 0, bytes(2));

    expect(visit.handshake).toEqual({ version: 2, codec: 1, platform: 3 });
    expect(request).toMatchObject({ requestId: 2, timeoutMs: 700, body: bytes(1) });
    expect((await answer).body).toEqual(bytes(2));
    expect(await wire.next()).toMatchObject({ type: "push", command: 9 });
  });

  test("the end tells of the Close push and of what came behind it", async () => {
    const { wire, server } = await openTcp({ handshake: bytes(0x11, 0x09) });
    const visit = await serverVisit(wire, server);
    visit.close(CloseCode.serverError, "slow consumer");

    const closed = await wire.waitClosed();

    expect(closed).toEqual({
      closePush: { code: 1, reason: "slow consumer" },
      wsCode: null,
      wsReason: "",
      bytesAfterClose: 0,
      how: "fin",
    });
  });

  test("a wait that ends too late says what came instead", async () => {
    const { wire, server } = await openTcp();
    const visit = await serverVisit(wire, server);
    visit.push(9, bytes());
    await wire.next();

    const error = await wire.next(20).catch((reason: unknown) => reason);

    expect(error).toMatchObject({ name: "DeadlineError" });
    expect(String(error)).toContain("Waited 20 ms for a packet; the last to arrive:");
    expect(String(error)).toContain("push of command 9");
  });

  test("a wait ends at once when the connection does", async () => {
    const { wire, server } = await openTcp();
    const visit = await serverVisit(wire, server);
    const waiting = wire.next().catch((reason: unknown) => String(reason));

    visit.end();

    expect(await waiting).toContain("the connection ended by fin");
  });

  test("bytes behind the Close push are counted", async () => {
    const { wire, server } = await openTcp();
    const visit = await serverVisit(wire, server);
    visit.sendBytes(encodePush(1, Command.close, encodeClose(CloseCode.authError, "auth timeout")));
    await wire.next();
    visit.push(9, bytes(1, 2));
    visit.end();

    const closed = await wire.waitClosed();

    expect(closed.closePush).toEqual({ code: 4, reason: "auth timeout" });
    expect(closed.bytesAfterClose).toBe(7);
  });

  test("a half-open wire can still send behind the end of its peer", async () => {
    const { wire, server } = await openTcp({ allowHalfOpen: true });
    const visit = await serverVisit(wire, server);
    visit.end();
    await wire.waitClosed();

    wire.sendBytes(encodePush(1, 9, bytes(1)));

    expect(await visit.nextPacket()).toMatchObject({ type: "push", command: 9 });
  });

  test("a request behind the end is refused at once", async () => {
    const { wire, server } = await openTcp();
    const visit = await serverVisit(wire, server);
    visit.end();
    await wire.waitClosed();

    const error = await wire.request(9, bytes()).catch((reason: unknown) => String(reason));

    expect(error).toContain("the connection ended by fin");
  });

  test("bytes that are no packet end every wait with a reason", async () => {
    const { wire, server } = await openTcp();
    const visit = await serverVisit(wire, server);
    const waiting = wire.next().catch((reason: unknown) => String(reason));

    visit.sendBytes(bytes(0xff));

    expect(await waiting).toContain("bytes arrived that are no packet");
  });

  test("a paused wire reads nothing until it is resumed", async () => {
    const { wire, server } = await openTcp();
    const visit = await serverVisit(wire, server);
    const before = wire.receivedBytes;
    wire.pause();
    visit.push(9, new Uint8Array(100));

    const late = await wire.next(50).catch((reason: unknown) => reason);
    wire.resume();
    const push = await wire.next();

    expect(late).toMatchObject({ name: "DeadlineError" });
    expect(push.body.length).toBe(100);
    expect(wire.receivedBytes - before).toBe(105);
  });

  test("nothing listens: the error names the cause", async () => {
    const error = await openWire({ url: "tcp://127.0.0.1:1" }).catch((reason: unknown) => reason);

    expect(String(error)).toMatch(/ECONNREFUSED|connect/i);
  });
});

/** The server sees a visit with the first bytes, so the wire sends a heartbeat, id 1. */
async function serverVisit(wire: Wire, server: Awaited<ReturnType<typeof openTcp>>["server"]) {
  const answer = wire.request(Command.heartbeat, bytes());
  const visit = await server.nextVisit();
  visit.answer(await visit.nextRequest(), 0, bytes());
  await answer;
  return visit;
}

describe("openWire on WebSocket", () => {
  test("the handshake is appended to the query, or replaced by it", async () => {
    const { url, heard } = startWsServer();

    await open({ url: `${url}?a=b`, version: 2 });
    await open({ url, query: "version=x" });

    expect(heard.urls).toEqual(["?a=b&version=2&codec=1&platform=9", "?version=x"]);
  });

  test("a refused upgrade rejects with its status and body", async () => {
    const { url } = startWsServer();

    const error = await open({ url, headers: { "X-Refuse": "yes" } }).catch((reason) => reason);

    expect(error).toMatchObject({ name: "HttpUpgradeError", status: 503, body: "full" });
    expect(error.headers["content-length"]).toBe("4");
  });

  test.each([0, 200, 70_000])("a fragmented message of %p bytes comes back whole", async (size) => {
    const wire = await open({ url: startWsServer().url });
    const packet = encodeResponse(1, 9, 1, 0, new Uint8Array(size).fill(3));

    wire.sendFragments([packet.subarray(0, 1), bytes(), packet.subarray(1)]);
    const echoed = await wire.next();

    expect(echoed).toEqual(decodeMessage(packet, 1, wireLimits));
  });

  test("a control frame may come between the fragments", async () => {
    const wire = await open({ url: startWsServer().url });
    const packet = encodePush(1, 9, bytes(1));

    wire.sendFrame({ opcode: 2, payload: packet.subarray(0, 3), isFinal: false });
    wire.ping(bytes(1, 2));
    wire.sendFrame({ opcode: 0, payload: packet.subarray(3) });

    expect(await wire.nextPong()).toEqual(bytes(1, 2));
    expect(encode(await wire.next(), 1)).toEqual(packet);
  });

  test("text goes both ways, and requests are paired by id", async () => {
    const wire = await open({ url: startWsServer().url });

    wire.sendText("hello");

    expect(await wire.nextText()).toBe("hello");
    // The server echoes, so the request itself comes back; a response never does.
    await expect(wire.request(9, bytes(), { deadlineMs: 50 })).rejects.toThrow(
      "the response with id 1; the last to arrive: text message, request of command 9 id 1",
    );
  });

  test("a ping is answered with its payload", async () => {
    const { url, heard } = startWsServer();
    const wire = await open({ url });

    wire.sendText("ping me");
    const ping = await wire.nextPing();
    await wire.nextText();

    expect(new TextDecoder().decode(ping)).toBe("payload");
    expect(heard.pongs).toEqual(["payload"]);
  });

  test("a ping that came in one piece with the upgrade is answered", async () => {
    const heard = Promise.withResolvers<Uint8Array>();
    const server = Bun.listen({
      ...{ hostname: "127.0.0.1", port: 0 },
      socket: {
        data(socket, chunk) {
          const key = /sec-websocket-key: (\S+)/i.exec(new TextDecoder().decode(chunk))?.[1];
          if (key === undefined) return heard.resolve(Uint8Array.from(chunk));
          const accept = new Bun.CryptoHasher("sha1").update(`${key}${acceptSuffix}`);
          const lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket"];
          const head = `${lines.join("\r\n")}\r\nConnection: Upgrade\r\n`;
          const told = `${head}Sec-WebSocket-Accept: ${accept.digest("base64")}\r\n\r\n`;
          socket.write(Buffer.concat([Buffer.from(told), bytes(0x89, 1, 7)]));
        },
      },
    });
    cleanups.push(() => server.stop(true));

    const wire = await open({ url: `ws://127.0.0.1:${server.port}/` });
    const pong = await heard.promise;

    expect(wire.pings).toEqual([bytes(7)]);
    expect([pong[0], pong[1]]).toEqual([0x8a, 0x81]); // masked, as a client's frames are
  });

  test("a ping stays unanswered without autoPong", async () => {
    const { url, heard } = startWsServer();
    const wire = await open({ url, autoPong: false });

    wire.sendText("ping me");
    await wire.nextPing();
    wire.sendText("and now");

    expect(await wire.nextText()).toBe("and now");
    expect(heard.pongs).toEqual([]);
    expect(wire.pings.length).toBe(1);
  });

  test("the end tells of the Close push and the close frame", async () => {
    const wire = await open({ url: startWsServer().url });

    wire.sendText("close me");
    wire.sendClose(null);
    const closed = await wire.waitClosed();

    expect(closed).toEqual({
      closePush: { code: 2, reason: "bye" },
      wsCode: 4002,
      wsReason: "bye",
      bytesAfterClose: 0,
      how: "fin",
    });
  });

  test("a frame without a mask is refused by the server", async () => {
    const wire = await open({ url: startWsServer().url });

    wire.sendFrame({ opcode: 2, payload: bytes(1), isMasked: false });
    const closed = await wire.waitClosed();

    expect(closed.closePush).toBeNull();
  });
});
