/**
 * A WebSocket client that is nothing but a socket: it sends the bytes it is given, cut as it is
 * told, and notes what a server answers, as strictly as RFC 6455 lets a client be.
 */
import { connect, type Socket } from "node:net";
import { decodeClose, decodeMessage, ProtocolError } from "@holdfast/protocol";

/** What came. Bodies are told apart by the request id that was sent with them. */
export interface Seen {
  /** Of the answer to the upgrade; null until its head has come whole. */
  status: number | null;
  head: string;
  readonly echoes: { readonly id: number; readonly body: Uint8Array }[];
  readonly pongs: string[]; // hex
  closePush: number | null;
  /** Of the close frame: null without a frame, 0 without a code in it. */
  closeCode: number | null;
  /** What no server may send. */
  readonly wrong: string[];
  /** The connection is over, by FIN or reset. */
  isEnded: boolean;
}

/** "together": one write. A number: writes of so many bytes, each on its own. */
export type Cut = "together" | number;

export interface BareSocket {
  readonly seen: Seen;
  send(bytes: Uint8Array, cut?: Cut): Promise<void>;
  /** True as soon as it is so; false when the server has ended without, or time is up. */
  until(isSo: (seen: Seen) => boolean): Promise<boolean>;
  /** No more will be sent. */
  end(): void;
  destroy(): void;
}

const patienceDefaultMs = 15_000;
const headBytesMax = 16 * 1024;
const wireLimits = {
  bodyBytesMax: 16_777_215,
  inflatedBytesMax: 64 * 1024 * 1024,
  heartbeatBytesMax: 16_777_215,
};

export async function openBare(
  url: string,
  patienceMs: number = patienceDefaultMs,
): Promise<BareSocket> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  socket.setNoDelay(true);
  const seen = createSeen();
  let waiting: (() => void)[] = [];
  let unread: Uint8Array = new Uint8Array(0);
  const wake = () => {
    for (const resume of waiting.splice(0)) resume();
  };
  const end = () => {
    seen.isEnded = true;
    wake();
  };
  socket.on("data", (chunk: Uint8Array) => {
    unread = Buffer.concat([unread, chunk]);
    unread = read(unread, seen);
    wake();
  });
  socket.on("end", end).on("error", end).on("close", end);
  await new Promise<void>((resolve) => socket.once("connect", resolve).once("error", resolve));

  return {
    seen,
    send: (bytes, cut = "together") => send(socket, seen, bytes, cut),
    async until(isSo) {
      const untilMs = performance.now() + patienceMs;
      while (!isSo(seen)) {
        const leftMs = untilMs - performance.now();
        if (leftMs <= 0 || seen.isEnded) return isSo(seen);
        const { promise, resolve } = Promise.withResolvers<void>();
        waiting.push(resolve);
        const timer = setTimeout(resolve, leftMs);
        await promise.finally(() => clearTimeout(timer));
        waiting = waiting.filter((resume) => resume !== resolve);
      }
      return true;
    },
    end: () => void socket.end(),
    destroy: () => void socket.destroy(),
  };
}

function createSeen(): Seen {
  return {
    ...{ status: null, head: "", echoes: [], pongs: [] },
    ...{ closePush: null, closeCode: null, wrong: [], isEnded: false },
  };
}

async function send(socket: Socket, seen: Seen, bytes: Uint8Array, cut: Cut): Promise<void> {
  const size = cut === "together" ? Math.max(1, bytes.length) : cut;
  for (let at = 0; at < bytes.length; at += size) {
    if (seen.isEnded || !socket.writable) return;
    socket.write(bytes.subarray(at, at + size));
    // A turn of the loop each, so that each is a segment of its own.
    if (cut !== "together") await Bun.sleep(0);
  }
}

/** Takes all that is whole; returns the rest. */
function read(bytes: Uint8Array, seen: Seen): Uint8Array {
  let rest = bytes;
  if (seen.status === null) {
    const headEnd = Buffer.from(rest).indexOf("\r\n\r\n");
    if (headEnd < 0) {
      if (rest.length > headBytesMax) seen.wrong.push("an answer without an end");
      return rest;
    }
    seen.head = Buffer.from(rest.subarray(0, headEnd)).toString("latin1");
    seen.status = Number(seen.head.split(" ")[1]);
    rest = rest.subarray(headEnd + 4);
  }
  if (seen.status !== 101) return new Uint8Array(0); // a text for people
  for (let size = frameSize(rest); size !== null && size <= rest.length; size = frameSize(rest)) {
    readFrame(rest.subarray(0, size), seen);
    rest = rest.subarray(size);
  }
  return rest;
}

/** Null while the header is not all there. A masked frame is reported when it is read. */
function frameSize(bytes: Uint8Array): number | null {
  if (bytes.length < 2) return null;
  const short = bytes[1]! & 0x7f; // the length has been asked for, here and below
  const headerBytes = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (bytes.length < headerBytes) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const size =
    short < 126 ? short : short === 126 ? view.getUint16(2) : Number(view.getBigUint64(2));
  return headerBytes + size;
}

function readFrame(frame: Uint8Array, seen: Seen): void {
  const [first, second] = [frame[0]!, frame[1]!]; // a frame has two bytes at least
  const short = second & 0x7f;
  const payload = frame.subarray(short < 126 ? 2 : short === 126 ? 4 : 10);
  const opcode = first & 0x0f;
  if (seen.closeCode !== null) seen.wrong.push("a frame behind the close frame");
  if ((second & 0x80) !== 0) seen.wrong.push("a masked frame");
  if ((first & 0x70) !== 0) seen.wrong.push("a reserved bit");
  if ((first & 0x80) === 0) seen.wrong.push("a fragment");
  if (short === 126 && payload.length < 126) seen.wrong.push("a length in too many bytes");
  if (short === 127 && payload.length < 65_536) seen.wrong.push("a length in too many bytes");
  if (opcode >= 8 && payload.length > 125) seen.wrong.push("a long control frame");
  if (opcode === 2) readPacket(payload, seen);
  else if (opcode === 8) seen.closeCode = closeCodeOf(payload);
  else if (opcode === 10) seen.pongs.push(payload.toHex());
  else if (opcode !== 9) seen.wrong.push(`a frame of opcode ${opcode}`);
}

function closeCodeOf(payload: Uint8Array): number {
  return payload.length < 2 ? 0 : (payload[0]! << 8) | payload[1]!; // two bytes are there
}

function readPacket(payload: Uint8Array, seen: Seen): void {
  try {
    const packet = decodeMessage(payload, 1, wireLimits);
    if (packet.type === "response") seen.echoes.push({ id: packet.requestId, body: packet.body });
    else if (packet.type === "push" && packet.command === 0) {
      seen.closePush = decodeClose(packet.body).code;
    } else seen.wrong.push(`a ${packet.type} of command ${packet.command}`);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    seen.wrong.push(`bytes that are no packet: ${error.fault}`);
  }
}
