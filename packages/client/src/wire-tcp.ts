/** The wire on TCP: two bytes of handshake, then packets back to back. */

import { connect, type Socket } from "node:net";
import { Decoder, encode, encodeRequest, encodeTcpHandshake } from "@holdfast/protocol";
import { toPlainBytes } from "./byte-queue.ts";
import { within } from "./deadline.ts";
import type { RequestOptions, Wire, WireOptions } from "./wire.ts";
import { createWireInbox, wireLimits } from "./wire-inbox.ts";

export async function openTcpWire(options: WireOptions): Promise<Wire> {
  const version = options.version ?? 1;
  const inbox = createWireInbox(options);
  const decoder = new Decoder(version, wireLimits);
  const socket = dial(options);
  let requestId = 0;

  attach();
  await connected(socket, options.url, inbox.timeoutMs);
  const greeting = { version, codec: 1, platform: options.platform ?? 9 } as const;
  const { handshake = encodeTcpHandshake(greeting) } = options;
  if (handshake !== null) socket.write(handshake);

  return {
    send: (packet) => sendBytes(encode(packet, version)),
    sendBytes,
    sendText: refuse,
    sendFragments: refuse,
    sendFrame: refuse,
    ping: refuse,
    pong: refuse,
    sendClose: refuse,
    request,
    next: inbox.next,
    nextPing: refuse,
    nextPong: refuse,
    nextText: refuse,
    pings: [],
    pongs: [],
    closed: inbox.closed,
    waitClosed: inbox.waitClosed,
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end: () => void socket.end(),
    reset,
    get receivedBytes() {
      return inbox.receivedBytes;
    },
    get bufferedBytes() {
      return socket.writableLength;
    },
  };

  function attach(): void {
    socket.on("data", (chunk: Uint8Array) => inbox.read(chunk.length, () => decode(chunk)));
    socket.on("end", () => inbox.ended("fin"));
    socket.on("error", () => inbox.ended("reset"));
    socket.on("close", () => inbox.ended("local"));
  }

  function decode(chunk: Uint8Array): void {
    decoder.push(toPlainBytes(chunk));
    for (let packet = decoder.next(); packet !== null; packet = decoder.next()) {
      inbox.packet(packet);
    }
  }

  function sendBytes(bytes: Uint8Array): void {
    if (socket.writable) socket.write(bytes);
  }

  function request(command: number, body: Uint8Array, asked: RequestOptions = {}) {
    requestId += 1;
    const answer = inbox.waitResponse(requestId, asked.deadlineMs);
    sendBytes(encodeRequest(version, command, requestId, asked.timeoutMs ?? 0, body));
    return answer;
  }

  function reset(): void {
    inbox.ended("local");
    socket.resetAndDestroy();
  }
}

function dial(options: WireOptions): Socket {
  const url = new URL(options.url);
  const from = options.localAddress === undefined ? {} : { localAddress: options.localAddress };
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const allowHalfOpen = options.allowHalfOpen ?? false;
  const socket = connect({ host, port: Number(url.port), allowHalfOpen, ...from });
  return socket.setNoDelay(true);
}

async function connected(socket: Socket, url: string, timeoutMs: number): Promise<void> {
  const outcome = new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  try {
    await within(outcome, timeoutMs, () => `a connection to ${url}`);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function refuse(): never {
  throw new Error("Cannot do this on TCP: it has no frames");
}
