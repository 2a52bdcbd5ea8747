/**
 * A server that does only what a test tells it, one packet at a time: for tests of the client.
 * It listens on TCP, or speaks WebSocket with the frames of this package.
 */

import { createHash } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import {
  type CloseHints,
  Command,
  Decoder,
  decodeMessage,
  decodeQueryHandshake,
  decodeTcpHandshake,
  encodeAuthResponse,
  encodeClose,
  encodeErrorBody,
  encodePush,
  encodeRequest,
  encodeResponse,
  type Handshake,
  type Packet,
  type Request,
} from "@holdfast/protocol";
import { deadlineDefaultMs, within } from "./deadline.ts";
import { createMailbox, type Mailbox } from "./mailbox.ts";
import { wireLimits } from "./wire-inbox.ts";
import { createWsReader, encodeFrame, Opcode, type WsEvent } from "./ws-frames.ts";

/** One connection that a client made. */
export interface Visit {
  readonly handshake: Handshake;
  /** The next packet of the client, which MUST be a request. */
  nextRequest(): Promise<Request>;
  nextPacket(): Promise<Packet>;
  answer(request: Request, status: number, body: Uint8Array): void;
  fail(
    request: Request,
    failure: { status: number; code: number; text: string; retryAfterMs?: number },
  ): void;
  /** Answers an Auth or Reconnect with a session that lasts an hour. */
  accept(request: Request, sessionId: string): void;
  request(command: number, requestId: number, body: Uint8Array): void;
  push(command: number, body: Uint8Array): void;
  /** As they are on TCP, in one message on WebSocket. */
  sendBytes(bytes: Uint8Array): void;
  /** The Close push, and the end behind it. */
  close(code: number, reason: string, hints?: CloseHints): void;
  ping(): void;
  end(): void;
  drop(): void;
  /** Rejects if the client does not end the connection in time. */
  waitEnd(): Promise<unknown>;
}

export interface ScriptedServer {
  readonly url: string;
  /** The next connection whose handshake is done. */
  nextVisit(): Promise<Visit>;
  readonly visitsCount: number;
  stop(): void;
}

const hourMs = 3_600_000;

interface Line {
  readonly socket: Socket;
  readonly packets: Mailbox<Packet>;
  readonly isWs: boolean;
}

export async function startScriptedServer(kind: "tcp" | "ws"): Promise<ScriptedServer> {
  const visits = createMailbox<Visit>({ sizeMax: 100, describeArrivals: () => "no visit came" });
  const sockets = new Set<Socket>();
  let visitsCount = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}); // a client may drop its connection
    const greet = (handshake: Handshake, line: Line) => {
      visitsCount += 1;
      visits.put(createVisit(handshake, line));
    };
    if (kind === "tcp") receiveTcp(socket, greet);
    else receiveWs(socket, greet);
  });
  const port = await listen(server);

  return {
    url: kind === "tcp" ? `tcp://127.0.0.1:${port}` : `ws://127.0.0.1:${port}/v2`,
    nextVisit: () => visits.take("a visit", deadlineDefaultMs),
    get visitsCount() {
      return visitsCount;
    },
    stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (address === null || typeof address === "string") reject(new Error("No port was given"));
      else resolve(address.port);
    });
  });
}

function receiveTcp(socket: Socket, greet: (handshake: Handshake, line: Line) => void): void {
  const line: Line = { socket, packets: createPackets(socket), isWs: false };
  let decoder: Decoder | null = null;
  socket.on("data", (chunk: Uint8Array) => {
    let rest = chunk;
    if (decoder === null) {
      const handshake = decodeTcpHandshake(chunk[0] ?? 0, chunk[1] ?? 0); // loopback keeps it whole
      decoder = new Decoder(handshake.version, wireLimits);
      rest = chunk.subarray(2);
      greet(handshake, line);
    }
    decoder.push(rest);
    for (let packet = decoder.next(); packet !== null; packet = decoder.next()) {
      line.packets.put(packet);
    }
  });
}

function receiveWs(socket: Socket, greet: (handshake: Handshake, line: Line) => void): void {
  const line: Line = { socket, packets: createPackets(socket), isWs: true };
  const reader = createWsReader({ messageBytesMax: 1_000_000 });
  let handshake: Handshake | null = null;
  socket.on("data", (chunk: Uint8Array) => {
    if (handshake === null) {
      handshake = answerUpgrade(socket, new TextDecoder().decode(chunk));
      greet(handshake, line);
      return;
    }
    reader.push(chunk);
    for (let event = reader.next(); event !== null; event = reader.next()) {
      receive(line, handshake, event);
    }
  });
}

function answerUpgrade(socket: Socket, head: string): Handshake {
  const query = /^GET [^?]*\?(\S*) /.exec(head)?.[1] ?? "";
  const key = /sec-websocket-key: *(\S+)/i.exec(head)?.[1] ?? "";
  const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  const accept = createHash("sha1").update(`${key}${guid}`).digest("base64");
  const lines = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${accept}`,
  ];
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  return decodeQueryHandshake(query);
}

function receive(line: Line, { version }: Handshake, event: WsEvent): void {
  if (event.kind === "binary") line.packets.put(decodeMessage(event.payload, version, wireLimits));
  if (event.kind !== "close") return;
  sendFrame(line, Opcode.close, new Uint8Array(0));
  line.socket.end();
}

function createPackets(socket: Socket): Mailbox<Packet> {
  const packets = createMailbox<Packet>({ sizeMax: 1_000, describeArrivals: () => "none came" });
  socket.on("close", () => packets.fail("the client has left"));
  return packets;
}

function sendFrame(line: Line, opcode: number, payload: Uint8Array): void {
  line.socket.write(encodeFrame({ isFinal: true, opcode, payload }, null));
}

function createVisit(handshake: Handshake, line: Line): Visit {
  const { version } = handshake;
  const { socket, packets } = line;
  const ended = new Promise((resolve) => socket.once("close", resolve));
  const nextPacket = () => packets.take("a packet of the client", deadlineDefaultMs);

  return {
    handshake,
    nextRequest,
    nextPacket,
    answer,
    fail: (request, { status, code, text, retryAfterMs }) =>
      answer(request, status, encodeErrorBody(code, text, retryAfterMs)),
    accept,
    request: (command, id, body) => send(encodeRequest(version, command, id, 0, body)),
    sendBytes: send,
    push: (command, body) => send(encodePush(version, command, body)),
    close(code, reason, hints) {
      send(encodePush(version, Command.close, encodeClose(code, reason, hints)));
      socket.end();
    },
    ping: () => sendFrame(line, Opcode.ping, Uint8Array.of(1)),
    end: () => void socket.end(),
    drop: () => void socket.destroy(),
    waitEnd: () => within(ended, deadlineDefaultMs, () => "the client to leave"),
  };

  async function nextRequest(): Promise<Request> {
    const packet = await nextPacket();
    if (packet.type !== "request") throw new Error(`Expected a request, got a ${packet.type}`);
    return packet;
  }

  function answer(request: Request, status: number, body: Uint8Array): void {
    send(encodeResponse(version, request.command, request.requestId, status, body));
  }

  function accept(request: Request, sessionId: string): void {
    const expiresAtMs = Date.now() + hourMs;
    answer(request, 0, encodeAuthResponse({ sessionId, expiresAtMs, limit: 3, online: 1 }));
  }

  function send(bytes: Uint8Array): void {
    if (line.isWs) sendFrame(line, Opcode.binary, bytes);
    else socket.write(bytes);
  }
}
