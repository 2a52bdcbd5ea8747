/**
 * Packets to bytes. `encode` takes a packet as it is; the three functions behind it write the usual
 * ones from their parts, with no object in between: they are what a busy connection calls.
 */

import { gzipBody } from "#gzip";
import {
  bodyBytesMax,
  copyBytes,
  gzipFlag,
  headerSize,
  nonceBytes,
  PacketType,
  signatureBytes,
  verificationBytes,
  verifyFlag,
  writeUint16,
  writeUint24,
  writeUint32,
} from "./layout.ts";
import { emptyMetadata, encodeMetadata } from "./metadata.ts";
import {
  type Metadata,
  type Packet,
  ProtocolError,
  type Verification,
  type Version,
} from "./packet.ts";

export interface EncodeOptions {
  /** Dropped without a word in version 1, which has no place for it. [§5.4] */
  readonly metadata?: Metadata;
  /** True: the body comes from `compressBody`, and its packet says so. [D08] */
  readonly isCompressed?: boolean;
}

const noMetadata = new Uint8Array(0);

/**
 * Compresses the body if `packet.gzip`, whether it becomes smaller or not. Throws ProtocolError
 * "too-large" if what is to be on the wire is longer than 24 bits can say [§5.5], and RangeError if
 * a number does not fit into its field.
 */
export function encode(packet: Packet, version: Version): Uint8Array {
  const { command, metadata, verification } = packet;
  const body = packet.gzip ? gzipBody(packet.body) : packet.body;
  const type = PacketType[packet.type];
  const { length } = body;
  const bytes = begin(type, version, command, length, metadata, packet.gzip, verification);
  putBody(bytes, body, 0, length, verification);
  switch (packet.type) {
    case "request":
      writeRequestFields(bytes, packet.requestId, packet.timeoutMs);
      return bytes;
    case "response":
      writeResponseFields(bytes, packet.requestId, packet.status);
      return bytes;
    case "push":
      return bytes;
    default:
      return packet satisfies never;
  }
}

/** A timeout of 0 says nothing about it. [§5.9] Throws as `encode` does. */
export function encodeRequest(
  version: Version,
  command: number,
  requestId: number,
  timeoutMs: number,
  body: Uint8Array,
  options?: EncodeOptions,
): Uint8Array {
  const isCompressed = options?.isCompressed === true;
  const { request } = PacketType;
  const { length } = body;
  const bytes = begin(request, version, command, length, options?.metadata, isCompressed, null);
  putBody(bytes, body, 0, length, null);
  writeRequestFields(bytes, requestId, timeoutMs);
  return bytes;
}

/**
 * Command and request id are those of the request. [§5.8] The body may be a part of the bytes, so
 * that nobody needs a view of it. Throws as `encode` does.
 */
export function encodeResponse(
  version: Version,
  command: number,
  requestId: number,
  status: number,
  body: Uint8Array,
  options?: EncodeOptions,
  start = 0,
  end = body.length,
): Uint8Array {
  const isCompressed = options?.isCompressed === true;
  const { response } = PacketType;
  const length = end - start;
  const bytes = begin(response, version, command, length, options?.metadata, isCompressed, null);
  putBody(bytes, body, start, end, null);
  writeResponseFields(bytes, requestId, status);
  return bytes;
}

/** Throws as `encode` does. */
export function encodePush(
  version: Version,
  command: number,
  body: Uint8Array,
  options?: EncodeOptions,
): Uint8Array {
  const isCompressed = options?.isCompressed === true;
  const { push } = PacketType;
  const { length } = body;
  const bytes = begin(push, version, command, length, options?.metadata, isCompressed, null);
  putBody(bytes, body, 0, length, null);
  return bytes;
}

/** All of a packet but what is between its command and its lengths, and its end. [§5.2] [§5.3] */
function begin(
  type: PacketType,
  version: Version,
  command: number,
  bodyBytes: number,
  metadata: Metadata | undefined,
  isCompressed: boolean,
  verification: Verification | null,
): Uint8Array {
  if (bodyBytes > bodyBytesMax) {
    throw new ProtocolError(
      "too-large",
      `Cannot encode body of ${bodyBytes} bytes: limit is ${bodyBytesMax}`,
    );
  }
  checkField("command", command, 0xff);

  const isBare = version === 1 || metadata === undefined || metadata === emptyMetadata;
  const block = isBare ? noMetadata : encodeMetadata(metadata);
  const headerBytes = headerSize(version, type);
  const bodyEnd = headerBytes + block.length + bodyBytes;
  const bytes = new Uint8Array(verification === null ? bodyEnd : bodyEnd + verificationBytes);

  bytes[0] = type | (isCompressed ? gzipFlag : 0) | (verification === null ? 0 : verifyFlag);
  bytes[1] = command;
  writeUint24(bytes, headerBytes - 3, bodyBytes);
  if (block.length > 0) {
    writeUint16(bytes, headerBytes - 5, block.length);
    bytes.set(block, headerBytes);
  }
  return bytes;
}

/** What the packet ends with. */
function putBody(
  bytes: Uint8Array,
  body: Uint8Array,
  start: number,
  end: number,
  verification: Verification | null,
): void {
  const bodyEnd = verification === null ? bytes.length : bytes.length - verificationBytes;
  copyBytes(body, start, end, bytes, bodyEnd - (end - start));
  if (verification !== null) writeVerification(bytes, bodyEnd, verification);
}

function writeRequestFields(bytes: Uint8Array, requestId: number, timeoutMs: number): void {
  checkField("request id", requestId, 0xffffffff);
  checkField("timeout", timeoutMs, 0xffff);
  writeUint32(bytes, 2, requestId);
  writeUint16(bytes, 6, timeoutMs);
}

function writeResponseFields(bytes: Uint8Array, requestId: number, status: number): void {
  checkField("request id", requestId, 0xffffffff);
  checkField("status", status, 0xff);
  writeUint32(bytes, 2, requestId);
  bytes[6] = status;
}

function writeVerification(bytes: Uint8Array, at: number, verification: Verification): void {
  const { nonce, signature } = verification;
  // Of another length they would shift, or leave zeros, where the peer cannot notice. [§5.7]
  if (nonce.length !== nonceBytes || signature.length !== signatureBytes) {
    throw new RangeError(
      `Cannot encode nonce of ${nonce.length} and signature of ${signature.length} bytes: ` +
        `they have ${nonceBytes} and ${signatureBytes}`,
    );
  }
  bytes.set(nonce, at);
  bytes.set(signature, at + nonceBytes);
}

/** A number that is cut to its field would reach the peer as another one. */
function checkField(name: string, value: number, max: number): void {
  if (value >>> 0 === value && value <= max) return;
  throw new RangeError(`Cannot encode ${name} ${value}: it is a whole number up to ${max}`);
}
