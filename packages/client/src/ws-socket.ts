/**
 * A WebSocket client of our own over node:net and node:tls: the upgrade, then frames.
 * It gives what a global WebSocket hides: single frames, pings, close codes, a paused reader.
 */
import { createHash, randomBytes } from "node:crypto";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { createByteQueue } from "./byte-queue.ts";
import { HttpUpgradeError } from "./errors.ts";
import { createWsReader, encodeFrame, type Frame, type WsEvent } from "./ws-frames.ts";

/** Calls come in the order of the bytes. After `ended` none follows. */
export interface WsSocketEvents {
  readonly received: (event: WsEvent) => void;
  /** Called once. Null: the peer ended its direction, as it should. */
  readonly ended: (error: Error | null) => void;
}

export interface WsSocket {
  /** `isMasked` false breaks the rules on purpose. */
  sendFrame(frame: Frame, isMasked?: boolean): void;
  readonly socket: Socket;
}

const headBytesMax = 16_384;
const messageBytesMax = 17_000_000; // above the largest packet of [§5.5]
const acceptSuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455, section 1.3

export interface WsSocketOptions {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Gives up the upgrade. */
  readonly signal: AbortSignal;
  readonly localAddress?: string | undefined;
  readonly allowHalfOpen?: boolean;
  readonly events: WsSocketEvents;
}

interface Upgrade {
  readonly socket: Socket;
  /** What came behind the answer's head. */
  readonly rest: Uint8Array;
}

/** Rejects with HttpUpgradeError when the server answers with something else than 101. */
export async function openWsSocket(options: WsSocketOptions): Promise<WsSocket> {
  const { socket, rest } = await upgrade(options);
  const reader = createWsReader({ messageBytesMax });
  let isEnded = false;
  let hasBegun = false;

  socket.on("data", (chunk: Uint8Array) => {
    begin();
    read(chunk);
  });
  socket.on("end", () => {
    begin();
    end(null);
  });
  socket.on("error", (error) => end(error));
  socket.on("close", () => end(new Error("Socket was closed")));
  // The caller must have its socket before it hears of what came with the answer; it gets it within
  // the microtasks of this turn.
  setImmediate(begin);
  return { socket, sendFrame };

  function begin(): void {
    if (hasBegun) return;
    hasBegun = true;
    read(rest);
  }

  function read(chunk: Uint8Array): void {
    try {
      reader.push(chunk);
      for (let event = reader.next(); event !== null && !isEnded; event = reader.next()) {
        options.events.received(event);
      }
    } catch (error) {
      end(error instanceof Error ? error : new Error(String(error)));
      socket.destroy();
    }
  }

  function end(error: Error | null): void {
    if (isEnded) return;
    isEnded = true;
    options.events.ended(error);
  }

  function sendFrame(frame: Frame, isMasked = true): void {
    if (!socket.writable) return;
    socket.write(isMasked ? encodeFrame(frame) : encodeFrame(frame, null));
  }
}

function upgrade(options: WsSocketOptions): Promise<Upgrade> {
  const { url } = options;
  const key = randomBytes(16).toString("base64");
  const socket = dial(options);
  const arrived = createByteQueue();

  return new Promise((resolve, reject) => {
    const onAbort = () => {
      const had = `${arrived.length} bytes had arrived`;
      settle(new Error(`Upgrade at ${url.host} took too long, or was given up; ${had}`));
    };
    options.signal.addEventListener("abort", onAbort);
    socket.setNoDelay(true);
    socket.once(url.protocol === "wss:" ? "secureConnect" : "connect", () => {
      socket.write(writeUpgradeRequest(url, key, options.headers));
    });
    socket.on("data", onData);
    socket.on("end", onEnd);
    socket.on("error", settle);

    function onData(chunk: Uint8Array): void {
      arrived.push(chunk);
      const outcome = readAnswer(arrived, key, false);
      if (outcome !== null) settle(outcome);
    }

    function onEnd(): void {
      settle(readAnswer(arrived, key, true) ?? new Error("Connection ended within the upgrade"));
    }

    function settle(outcome: Error | Uint8Array): void {
      options.signal.removeEventListener("abort", onAbort);
      socket.removeListener("data", onData);
      socket.removeListener("end", onEnd);
      socket.removeListener("error", settle);
      if (outcome instanceof Error) {
        socket.on("error", () => {}); // what follows on a socket that is given up is of no interest
        socket.destroy();
        reject(outcome);
      } else resolve({ socket, rest: outcome });
    }
  });
}

function dial(options: WsSocketOptions): Socket {
  const { url, localAddress } = options;
  const isSecure = url.protocol === "wss:";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port) || (isSecure ? 443 : 80);
  const from = localAddress === undefined ? {} : { localAddress };
  const target = { host, port, allowHalfOpen: options.allowHalfOpen ?? false, ...from };
  return isSecure ? connectTls({ ...target, servername: host }) : connectTcp(target);
}

function writeUpgradeRequest(
  url: URL,
  key: string,
  headers: Readonly<Record<string, string>>,
): string {
  const lines = [
    `GET ${url.pathname}${url.search} HTTP/1.1`,
    `Host: ${url.host}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Key: ${key}`,
    "Sec-WebSocket-Version: 13",
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/** The bytes behind a good answer, an error for any other, null while more is needed. */
function readAnswer(
  arrived: ReturnType<typeof createByteQueue>,
  key: string,
  hasEnded: boolean,
): Uint8Array | Error | null {
  const bytes = Buffer.from(arrived.peek(arrived.length) ?? []);
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd < 0)
    return bytes.length > headBytesMax ? new Error("Upgrade head is too long") : null;
  const [statusLine = "", ...lines] = bytes.toString("latin1", 0, headEnd).split("\r\n");
  const headers = Object.fromEntries(lines.map(splitHeader));
  const status = Number(statusLine.split(" ")[1]);
  const rest = bytes.subarray(headEnd + 4);
  if (status === 101) {
    const accept = createHash("sha1")
      .update(key + acceptSuffix)
      .digest("base64");
    if (headers["sec-websocket-accept"] === accept) return rest;
    return new Error("Upgrade was answered with a wrong Sec-WebSocket-Accept");
  }
  const isWhole = rest.length >= Number(headers["content-length"] ?? Number.POSITIVE_INFINITY);
  if (!isWhole && !hasEnded && rest.length < headBytesMax) return null;
  return new HttpUpgradeError({ status, headers, body: rest.toString("utf8") });
}

function splitHeader(line: string): [string, string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}
