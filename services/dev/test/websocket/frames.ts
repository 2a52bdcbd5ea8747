/** Frames and packets as the cases write them: right by default, and wrong where a case says so. */
import { Command, encodeRequest } from "@holdfast/protocol";

export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface FrameOptions {
  readonly isFinal?: boolean; // default true
  readonly reserved?: number; // 0 to 7, default 0
  readonly isMasked?: boolean; // default true
  /** Said instead of the true length, and never followed by more bytes. */
  readonly saysBytes?: bigint;
  /** How many bytes the length takes: 0, 2 or 8. Default: as few as it needs. */
  readonly lengthBytes?: 0 | 2 | 8;
}

const mask = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d); // that of the examples in RFC 6455

export function frame(
  opcode: number,
  payload: Uint8Array | string = "",
  options: FrameOptions = {},
): Uint8Array {
  const body = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
  const { isFinal = true, reserved = 0, isMasked = true } = options;
  const said = options.saysBytes ?? BigInt(body.length);
  const lengthBytes = options.lengthBytes ?? (said < 126n ? 0 : said < 65_536n ? 2 : 8);
  const payloadAt = 2 + lengthBytes + (isMasked ? 4 : 0);
  const bytes = new Uint8Array(payloadAt + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, (isFinal ? 0x80 : 0) | (reserved << 4) | opcode);
  const short = lengthBytes === 0 ? Number(said) : lengthBytes === 2 ? 126 : 127;
  view.setUint8(1, (isMasked ? 0x80 : 0) | short);
  if (lengthBytes === 2) view.setUint16(2, Number(said));
  if (lengthBytes === 8) view.setBigUint64(2, said);
  if (isMasked) bytes.set(mask, payloadAt - 4);
  for (let index = 0; index < body.length; index++) {
    bytes[payloadAt + index] = body[index]! ^ (isMasked ? mask[index & 3]! : 0); // in bounds
  }
  return bytes;
}

/** A packet that every server answers in every state with the same body. [§7.2] */
export function heartbeat(id: number, bodyBytes = 13): Uint8Array {
  return encodeRequest(1, Command.heartbeat, id, 0, bodyOf(id, bodyBytes));
}

/** One that goes to an upstream which echoes: larger, and only after login. */
export function echo(id: number, bodyBytes: number): Uint8Array {
  return encodeRequest(1, 16, id, 0, bodyOf(id, bodyBytes));
}

/** Not to be mistaken for the body of another id. */
export function bodyOf(id: number, bodyBytes: number): Uint8Array {
  const body = new Uint8Array(bodyBytes);
  for (let at = 0; at < bodyBytes; at++) body[at] = id * 31 + at * 7 + (at >>> 8);
  return body;
}

export function message(packet: Uint8Array, options?: FrameOptions): Uint8Array {
  return frame(Opcode.binary, packet, options);
}

/** One message, a frame for each part of so many bytes. */
export function fragments(packet: Uint8Array, partBytes: number): Uint8Array[] {
  const count = Math.max(1, Math.ceil(packet.length / partBytes));
  return Array.from({ length: count }, (_, index) => {
    const part = packet.subarray(index * partBytes, (index + 1) * partBytes);
    const opcode = index === 0 ? Opcode.binary : Opcode.continuation;
    return frame(opcode, part, { isFinal: index === count - 1 });
  });
}

/** Code null: a close frame without one. */
export function close(code: number | null, reason: Uint8Array | string = ""): Uint8Array {
  if (code === null) return frame(Opcode.close);
  const text = typeof reason === "string" ? new TextEncoder().encode(reason) : reason;
  return frame(Opcode.close, Uint8Array.of(code >>> 8, code & 0xff, ...text));
}

export function ping(payload: Uint8Array | string = ""): Uint8Array {
  return frame(Opcode.ping, payload);
}

export function pong(payload: Uint8Array | string = ""): Uint8Array {
  return frame(Opcode.pong, payload);
}
