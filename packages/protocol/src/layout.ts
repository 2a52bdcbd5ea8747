/**
 * Where things lie in a packet: sizes, masks, and the big endian numbers of its header. The same
 * for both directions; what a receiver is willing to take is a matter of limits, not of layout.
 */

import type { Version } from "./packet.ts";

/** The low nibble of a packet's first byte. Anything else is no packet. [§5.1] */
export const PacketType = { request: 1, response: 2, push: 3 } as const;
export type PacketType = (typeof PacketType)[keyof typeof PacketType];

export const typeMask = 0x0f;
/** 1 means that nonce and signature follow the body. [§5.1] */
export const verifyFlag = 0x10;
export const gzipFlag = 0x20;

export const nonceBytes = 8;
export const signatureBytes = 16;
/** Nonce and signature together. [§5.7] */
export const verificationBytes = nonceBytes + signatureBytes;

/** What three bytes can say, and so the largest body on the wire: "16 MB". [§5.5] */
export const bodyBytesMax = 0xffffff;
/** What two bytes can say, and so the largest metadata block. [§5.3] */
export const metadataBytesMax = 0xffff;
/** The longest header there is: a request of version 2. */
export const headerBytesMax = 13;

/**
 * Size of the header, up to and including `body_len`, which is always its last 3 bytes; in version
 * 2 `metadata_len` are the 2 bytes before. [§5.2] [§5.3]
 */
export function headerSize(version: Version, type: PacketType): number {
  const size = type === PacketType.push ? 5 : type === PacketType.request ? 11 : 10;
  return version === 2 ? size + 2 : size;
}

// A DataView would be one more object for each chunk, so numbers are put together from bytes. The
// callers have checked the length, so a byte cannot be missing; only a `!` can tell the compiler.

export function readUint8(bytes: Uint8Array, at: number): number {
  return bytes[at]!;
}

export function readUint16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

export function readUint24(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
}

/** Unsigned: a request id reaches 4,294,967,295. [§3] */
export function readUint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | readUint24(bytes, at + 1)) >>> 0;
}

// An array of bytes keeps the low 8 bits of what is put in.

export function writeUint16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function writeUint24(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 16;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value;
}

export function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  writeUint24(bytes, at + 1, value);
}

/** Up to this size bytes are copied one by one: a view is dearer, and garbage afterwards. */
const loopBytesMax = 128;

/** Copies `from`, between `start` and `end`, into `to` at `at`. */
export function copyBytes(
  from: Uint8Array,
  start: number,
  end: number,
  to: Uint8Array,
  at: number,
): void {
  if (end - start <= loopBytesMax) {
    for (let index = start; index < end; index++) to[at + index - start] = from[index]!; // within
  } else if (start === 0 && end === from.length) {
    to.set(from, at);
  } else {
    to.set(from.subarray(start, end), at);
  }
}
