/**
 * One packet out of bytes that begin with it, in the order that [§5.10] lays down: type, header,
 * limits, then all the rest. Who collects the bytes, and how, is the caller's business.
 */

import { decompressBody } from "#gzip";
import {
  gzipFlag,
  headerSize,
  nonceBytes,
  PacketType,
  readUint8,
  readUint16,
  readUint24,
  readUint32,
  typeMask,
  verificationBytes,
  verifyFlag,
} from "./layout.ts";
import { decodeMetadata, emptyMetadata } from "./metadata.ts";
import {
  Command,
  type Metadata,
  type Packet,
  ProtocolError,
  type Verification,
  type Version,
} from "./packet.ts";

/** What a receiver is willing to take. They depend on how far the connection has come. [D07] */
export interface DecoderLimits {
  /** On the wire, so compressed if the body is compressed. At most 16,777,215. */
  readonly bodyBytesMax: number;
  readonly inflatedBytesMax: number;
  /** A body that becomes larger is handed on as it is, `isDeflated`. Not set: none is. */
  readonly inflatedNowBytesMax?: number;
  /** Bodies of command 1, on the wire and inflated: they are answered in every state. [§9] */
  readonly heartbeatBytesMax: number;
  /**
   * True: a Decoder waits at a body over the first two limits, instead of throwing, until it gets
   * other limits. Heartbeats never wait. [§5.5]
   */
  readonly hold?: boolean;
}

/** The answer of `measurePacket` while the header is not all there. */
export const headerIncomplete = 0;

/** A body without bytes. Shared, since nothing can be written to it. */
const emptyBody = new Uint8Array(0);

/**
 * Bodies up to this size are copied: the first view of a chunk makes the runtime give it a buffer
 * of its own, which costs ten times the copy of a small body, and lives as long as the view.
 */
const copyBytesMax = 1024;

/** Throws "bad-type", for which one byte is enough. */
export function readType(bytes: Uint8Array, at: number): PacketType {
  const type = readUint8(bytes, at) & typeMask;
  if (type === PacketType.request || type === PacketType.response || type === PacketType.push) {
    return type;
  }
  throw new ProtocolError("bad-type", `Cannot read packet of type ${type}: 1, 2 and 3 are known`);
}

/**
 * Bytes of the whole packet that starts at `at`, or `headerIncomplete`. `available` counts from
 * `at`. Throws "bad-type" and "too-large", the latter without waiting for the body. [D07]
 */
export function measurePacket(
  bytes: Uint8Array,
  at: number,
  available: number,
  version: Version,
  limits: DecoderLimits,
): number {
  if (available === 0) return headerIncomplete;
  const headerBytes = headerSize(version, readType(bytes, at));
  if (available < headerBytes) return headerIncomplete;

  const bodyBytes = readUint24(bytes, at + headerBytes - 3);
  const isHeartbeat = readUint8(bytes, at + 1) === Command.heartbeat;
  const limit = heartbeatOr(isHeartbeat, limits, limits.bodyBytesMax);
  if (bodyBytes > limit) {
    throw new ProtocolError(
      "too-large",
      `Cannot accept body of ${bodyBytes} bytes: limit is ${limit}`,
    );
  }

  const metadataBytes = version === 2 ? readUint16(bytes, at + headerBytes - 5) : 0;
  const isVerified = (readUint8(bytes, at) & verifyFlag) !== 0;
  return headerBytes + metadataBytes + bodyBytes + (isVerified ? verificationBytes : 0);
}

/**
 * The packet that starts at `at`, all of whose bytes are there, as `measurePacket` has told. What
 * it holds may be views of `bytes`. Throws "bad-metadata", "bad-gzip" and "too-large".
 */
export function parsePacket(
  bytes: Uint8Array,
  at: number,
  version: Version,
  limits: DecoderLimits,
): Packet {
  return readPacket(bytes, at, version, limits, true);
}

/** `mayInflate` false: the body is left as it is. */
function readPacket(
  bytes: Uint8Array,
  at: number,
  version: Version,
  limits: DecoderLimits,
  mayInflate: boolean,
): Packet {
  const first = readUint8(bytes, at);
  const type = readType(bytes, at);
  const command = readUint8(bytes, at + 1);
  const headerEnd = at + headerSize(version, type);
  const bodyStart = headerEnd + (version === 2 ? readUint16(bytes, headerEnd - 5) : 0);
  const bodyEnd = bodyStart + readUint24(bytes, headerEnd - 3);

  const metadata: Metadata =
    bodyStart === headerEnd ? emptyMetadata : decodeMetadata(bytes, headerEnd, bodyStart);
  const gzip = (first & gzipFlag) !== 0;
  let body = bodyStart === bodyEnd ? emptyBody : part(bytes, bodyStart, bodyEnd);
  if (gzip && mayInflate) {
    const inflated = inflateNow(body, command === Command.heartbeat, limits);
    if (inflated === null) {
      return { ...readPacket(bytes, at, version, limits, false), isDeflated: true };
    }
    body = inflated;
  }
  const verification = (first & verifyFlag) === 0 ? null : readVerification(bytes, bodyEnd);

  if (type === PacketType.push) {
    return { type: "push", command, metadata, body, gzip, verification };
  }
  const requestId = readUint32(bytes, at + 2);
  if (type === PacketType.request) {
    const timeoutMs = readUint16(bytes, at + 6);
    return {
      type: "request",
      command,
      requestId,
      timeoutMs,
      metadata,
      body,
      gzip,
      verification,
    };
  }
  const status = readUint8(bytes, at + 6);
  return { type: "response", command, requestId, status, metadata, body, gzip, verification };
}

/** Null: it becomes more than `inflatedNowBytesMax`, which is asked of it before of zlib. */
function inflateNow(
  body: Uint8Array,
  isHeartbeat: boolean,
  limits: DecoderLimits,
): Uint8Array | null {
  const most = heartbeatOr(isHeartbeat, limits, limits.inflatedBytesMax);
  const nowMost = limits.inflatedNowBytesMax ?? most;
  if (most <= nowMost) return decompressBody(body, most);
  if (body.length > nowMost || claimedSize(body) > nowMost) return null;
  try {
    return decompressBody(body, nowMost);
  } catch (error) {
    // It is none of what it claims; whoever takes the time finds out what.
    if (error instanceof ProtocolError && error.fault === "too-large") return null;
    throw error;
  }
}

/** The size of its last member, by its own word. [RFC 1952, 2.3.1] */
function claimedSize(body: Uint8Array): number {
  const at = body.length - 4;
  return at < 0 ? 0 : new DataView(body.buffer, body.byteOffset + at, 4).getUint32(0, true);
}

function heartbeatOr(isHeartbeat: boolean, limits: DecoderLimits, limit: number): number {
  return isHeartbeat ? Math.min(limits.heartbeatBytesMax, limit) : limit;
}

/** They follow the body as it was on the wire, compressed or not. [§5.7] */
function readVerification(bytes: Uint8Array, at: number): Verification {
  return {
    nonce: view(bytes, at, at + nonceBytes),
    signature: view(bytes, at + nonceBytes, at + verificationBytes),
  };
}

/** Memory of its own if that is cheap, otherwise a view. */
function part(bytes: Uint8Array, start: number, end: number): Uint8Array {
  // The `slice` of a Buffer does not copy.
  const isCopied = end - start <= copyBytesMax && bytes.constructor === Uint8Array;
  return isCopied ? bytes.slice(start, end) : view(bytes, start, end);
}

/**
 * Chunks may be Buffers, whose subarray is a Buffer, whose `slice` shares memory where that of a
 * Uint8Array copies. Nobody who gets a body shall have to know which one it is.
 */
function view(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start);
}
