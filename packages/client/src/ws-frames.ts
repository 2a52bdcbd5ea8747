/**
 * WebSocket frames (RFC 6455) <-> bytes, and frames -> whole messages. No socket, no clock.
 * It is strict about what a server may send, and free about what a test wants to send.
 */
import { createByteQueue } from "./byte-queue.ts";

export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface Frame {
  /** False: more fragments of the same message follow. */
  readonly isFinal: boolean;
  readonly opcode: number; // 0 to 15, see Opcode
  readonly payload: Uint8Array;
}

export type WsEvent =
  | { readonly kind: "binary" | "text" | "ping" | "pong"; readonly payload: Uint8Array }
  | { readonly kind: "close"; readonly code: number | null; readonly reason: string };

/** Bytes that break RFC 6455, or pass a limit. */
export class WsProtocolError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "WsProtocolError";
  }
}

/** A client's frames are masked; `mask` null leaves that out, which a server must refuse. */
export function encodeFrame(frame: Frame, mask: Uint8Array | null = randomMask()): Uint8Array {
  const size = frame.payload.length;
  const lengthBytes = size < 126 ? 0 : size < 65_536 ? 2 : 8;
  const payloadAt = 2 + lengthBytes + (mask === null ? 0 : 4);
  const bytes = new Uint8Array(payloadAt + size);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, (frame.isFinal ? 0x80 : 0) | (frame.opcode & 0x0f));
  const maskBit = mask === null ? 0 : 0x80;
  view.setUint8(1, maskBit | (lengthBytes === 0 ? size : lengthBytes === 2 ? 126 : 127));
  if (lengthBytes === 2) view.setUint16(2, size);
  if (lengthBytes === 8) view.setBigUint64(2, BigInt(size));
  bytes.set(frame.payload, payloadAt);
  if (mask !== null) {
    bytes.set(mask, payloadAt - 4);
    applyMask(bytes.subarray(payloadAt), mask);
  }
  return bytes;
}

export function encodeClosePayload(code: number | null, reason: string): Uint8Array {
  if (code === null) return new Uint8Array(0);
  const text = new TextEncoder().encode(reason);
  const payload = new Uint8Array(2 + text.length);
  new DataView(payload.buffer).setUint16(0, code);
  payload.set(text, 2);
  return payload;
}

function randomMask(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(4));
}

function applyMask(bytes: Uint8Array, mask: Uint8Array): void {
  for (let index = 0; index < bytes.length; index += 1) {
    // Both indices are in bounds: the loop's own, and a mask of four bytes.
    bytes[index] = bytes[index]! ^ mask[index & 3]!;
  }
}

export interface WsReader {
  push(chunk: Uint8Array): void;
  /** The next whole message or control frame; null until more bytes arrive. */
  next(): WsEvent | null;
}

/** Throws WsProtocolError from `next`; the reader is of no use after that. */
export function createWsReader(options: { readonly messageBytesMax: number }): WsReader {
  const queue = createByteQueue();
  let fragments: Uint8Array[] = [];
  let messageOpcode: number | null = null; // null: no message is open
  let messageBytes = 0; // the sum of the lengths in fragments

  return { push: queue.push, next };

  function next(): WsEvent | null {
    for (;;) {
      const frame = readFrame();
      if (frame === null) return null;
      const event = frame.opcode >= Opcode.close ? readControl(frame) : joinFragment(frame);
      if (event !== null) return event;
    }
  }

  function readFrame(): Frame | null {
    const start = queue.peek(2);
    if (start === null) return null;
    const [flags, sizeByte] = [start[0]!, start[1]!]; // peek gave two bytes
    if ((flags & 0x70) !== 0) throw new WsProtocolError("Cannot read frame: a reserved bit is set");
    const shortSize = sizeByte & 0x7f;
    const lengthBytes = shortSize < 126 ? 0 : shortSize === 126 ? 2 : 8;
    const maskBytes = sizeByte & 0x80 ? 4 : 0;
    const header = queue.peek(2 + lengthBytes + maskBytes);
    if (header === null) return null;
    const size = lengthBytes === 0 ? shortSize : readSize(header, lengthBytes);
    if (messageBytes + size > options.messageBytesMax) {
      const limit = options.messageBytesMax;
      throw new WsProtocolError(`Cannot accept message of ${size} bytes: limit is ${limit}`);
    }
    if (queue.length < header.length + size) return null;
    queue.take(header.length);
    const taken = queue.take(size)!; // the length was asked for above
    const payload = maskBytes === 0 ? taken : Uint8Array.from(taken); // the chunk is not ours
    if (maskBytes > 0) applyMask(payload, header.subarray(-4));
    return { isFinal: (flags & 0x80) !== 0, opcode: flags & 0x0f, payload };
  }

  function joinFragment(frame: Frame): WsEvent | null {
    if (frame.opcode > Opcode.binary) throw new WsProtocolError(`Unknown opcode ${frame.opcode}`);
    if ((frame.opcode === Opcode.continuation) === (messageOpcode === null)) {
      throw new WsProtocolError("Cannot join fragments: the message started twice, or not at all");
    }
    messageOpcode ??= frame.opcode;
    if (frame.payload.length > 0) fragments.push(frame.payload); // empty ones are not bounded
    messageBytes += frame.payload.length;
    if (!frame.isFinal) return null;
    const kind = messageOpcode === Opcode.text ? "text" : "binary";
    const payload = fragments.length === 1 ? fragments[0]! : concatenate(fragments, messageBytes);
    fragments = [];
    messageOpcode = null;
    messageBytes = 0;
    return { kind, payload };
  }
}

function readSize(header: Uint8Array, lengthBytes: number): number {
  const view = new DataView(header.buffer, header.byteOffset);
  return lengthBytes === 2 ? view.getUint16(2) : Number(view.getBigUint64(2));
}

/** A control frame may stand between the fragments of a message. */
function readControl(frame: Frame): WsEvent {
  const { opcode, payload } = frame;
  if (!frame.isFinal || payload.length > 125) {
    throw new WsProtocolError("Control frame is fragmented or longer than 125 bytes");
  }
  if (opcode === Opcode.ping) return { kind: "ping", payload };
  if (opcode === Opcode.pong) return { kind: "pong", payload };
  if (opcode !== Opcode.close) throw new WsProtocolError(`Unknown opcode ${opcode}`);
  if (payload.length === 0) return { kind: "close", code: null, reason: "" };
  if (payload.length === 1) throw new WsProtocolError("Close frame carries half a code");
  const code = new DataView(payload.buffer, payload.byteOffset).getUint16(0);
  return { kind: "close", code, reason: new TextDecoder().decode(payload.subarray(2)) };
}

function concatenate(parts: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
