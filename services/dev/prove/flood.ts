/**
 * A flood of strangers: sockets that say just enough to be accepted, hold what they get, and dial
 * again when they are let go. Nothing here is recorded: none of them ever logs in.
 */
import { createConnection, type Socket } from "node:net";
import { encodeQueryHandshake, encodeTcpHandshake } from "@holdfast/protocol";

export interface Flood {
  /** Connections that ended before `stop`: refused, most of them. */
  readonly ended: number;
  /** Answers of status 101, 429 and 503 to upgrades. */
  readonly told: { readonly welcome: number; readonly tooMany: number; readonly later: number };
  /** With a reset, which leaves nothing behind; resolves when all are gone. */
  stop(): Promise<void>;
}

const greeting = { version: 1, codec: 1, platform: 9 } as const;
const quicklyMs = 100;

export function startFlood(options: {
  /** TCP and WebSocket, in turn. */
  readonly urls: readonly string[];
  readonly sockets: number;
  /** Of their own end, in turn; not set: any. */
  readonly localAddresses?: readonly string[];
  /** What each says behind its greeting; default: nothing. */
  readonly says?: Uint8Array;
  /** Between an end and the next try, half as much more or less. */
  readonly againMs?: number; // default 100
}): Flood {
  const { urls, sockets, localAddresses = [], says, againMs = quicklyMs } = options;
  const open = new Set<Socket>();
  const told = { welcome: 0, tooMany: 0, later: 0 };
  let ended = 0;
  let isOver = false;
  for (let index = 0; index < sockets; index++) dial(index);

  return {
    told,
    get ended() {
      return ended;
    },
    async stop() {
      isOver = true;
      const all = [...open].map((socket) => new Promise((gone) => socket.once("close", gone)));
      for (const socket of open) socket.resetAndDestroy();
      await Promise.all(all);
    },
  };

  function dial(index: number): void {
    if (isOver) return;
    const url = new URL(urls[index % urls.length]!); // in bounds by its remainder
    const localAddress = localAddresses[index % localAddresses.length];
    const from = localAddress === undefined ? {} : { localAddress };
    const socket = createConnection({ host: url.hostname, port: Number(url.port), ...from });
    open.add(socket);
    socket.on("connect", () => {
      socket.write(strangerHello(url));
      if (says !== undefined) socket.write(says);
    });
    socket.on("data", (bytes: Buffer) => {
      const status = bytes.subarray(9, 12).toString("latin1");
      if (status === "101") told.welcome++;
      if (status === "429") told.tooMany++;
      if (status === "503") told.later++;
    });
    socket.on("error", () => {}); // "close" follows
    socket.on("close", () => {
      open.delete(socket);
      if (isOver) return;
      ended++;
      setTimeout(() => dial(index), againMs * (0.5 + Math.random()));
    });
  }
}

/** The handshake of TCP, or the upgrade of WebSocket. */
export function strangerHello(url: URL): Uint8Array | string {
  return url.protocol === "tcp:" ? encodeTcpHandshake(greeting) : upgrade(url);
}

function upgrade(url: URL): string {
  return (
    `GET /?${encodeQueryHandshake(greeting)} HTTP/1.1\r\nHost: ${url.host}\r\n` +
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
  );
}
