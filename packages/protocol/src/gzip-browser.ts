/**
 * Bodies in gzip, RFC 1952, where there is no zlib: it takes the place of gzip.ts when a bundler
 * builds for browsers, by `imports` of package.json. Same promises, same refusals. A
 * browser's requests are small: they are not compressed here, only wrapped. [§5.6]
 */

import { InflateError, InflateLimitError, inflate } from "./inflate.ts";
import { ProtocolError } from "./packet.ts";

const headerBytes = 10;
const trailerBytes = 8;
const flags = { headerCrc: 2, extra: 4, name: 8, comment: 16, reserved: 0xe0 } as const;
const storedBytesMax = 65_535;
const crcTable = createCrcTable();

/** As in gzip.ts. */
export function decompressBody(body: Uint8Array, inflatedBytesMax: number): Uint8Array {
  try {
    const members: Uint8Array[] = [];
    let left = inflatedBytesMax;
    for (let at = 0; at < body.length || members.length === 0; ) {
      const { inflated, end } = readMember(body, at, left);
      members.push(inflated);
      left -= inflated.length;
      at = end;
    }
    return join(members);
  } catch (error) {
    if (error instanceof InflateLimitError) {
      throw new ProtocolError(
        "too-large",
        `Cannot inflate body: it is larger than the limit of ${inflatedBytesMax} bytes`,
      );
    }
    const why = error instanceof Error ? error.message : String(error);
    throw new ProtocolError("bad-gzip", `Cannot inflate body: ${why}`);
  }
}

/** As in gzip.ts, but at once. */
export async function inflateLater(
  body: Uint8Array,
  inflatedBytesMax: number,
): Promise<Uint8Array> {
  return decompressBody(body, inflatedBytesMax);
}

/** In gzip's clothes, but not smaller: stored blocks. */
export function gzipBody(body: Uint8Array): Uint8Array {
  const blocks = Math.max(1, Math.ceil(body.length / storedBytesMax));
  const bytes = new Uint8Array(headerBytes + 5 * blocks + body.length + trailerBytes);
  const view = new DataView(bytes.buffer);
  bytes.set([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
  let to = headerBytes;
  for (let block = 0; block < blocks; block += 1) {
    const part = body.subarray(block * storedBytesMax, (block + 1) * storedBytesMax);
    view.setUint8(to, block === blocks - 1 ? 1 : 0);
    view.setUint16(to + 1, part.length, true);
    view.setUint16(to + 3, ~part.length & 0xffff, true);
    bytes.set(part, to + 5);
    to += 5 + part.length;
  }
  view.setUint32(to, crc32(body), true);
  view.setUint32(to + 4, body.length, true);
  return bytes;
}

/** Never smaller, so never worth it. */
export function compressBody(_body: Uint8Array, _gzipMinBytes: number): Uint8Array | null {
  return null;
}

function readMember(
  body: Uint8Array,
  start: number,
  bytesMax: number,
): { readonly inflated: Uint8Array; readonly end: number } {
  const { inflated, end } = inflate(body, readHeader(body, start), bytesMax);
  if (end + trailerBytes > body.length) throw new InflateError("unexpected end");
  const view = new DataView(body.buffer, body.byteOffset + end, trailerBytes);
  if (view.getUint32(0, true) !== crc32(inflated)) throw new InflateError("the checksum is wrong");
  if (view.getUint32(4, true) !== inflated.length) throw new InflateError("the size is wrong");
  return { inflated, end: end + trailerBytes };
}

/** Where the header that starts at `start` ends. */
function readHeader(body: Uint8Array, start: number): number {
  const flag = byteAt(body, start + 3);
  if (byteAt(body, start) !== 0x1f || byteAt(body, start + 1) !== 0x8b) {
    throw new InflateError("it does not begin as gzip does");
  }
  if (byteAt(body, start + 2) !== 8 || (flag & flags.reserved) !== 0) {
    throw new InflateError("its header says what is not known");
  }
  let at = start + headerBytes;
  if (flag & flags.extra) at += 2 + byteAt(body, at) + (byteAt(body, at + 1) << 8);
  if (flag & flags.name) at = skipText(body, at);
  if (flag & flags.comment) at = skipText(body, at);
  if (flag & flags.headerCrc) {
    const told = byteAt(body, at) + (byteAt(body, at + 1) << 8);
    if ((crc32(body.subarray(start, at)) & 0xffff) !== told) {
      throw new InflateError("the checksum of its header is wrong");
    }
    at += 2;
  }
  return at;
}

function skipText(body: Uint8Array, start: number): number {
  let at = start;
  while (byteAt(body, at) !== 0) at += 1;
  return at + 1;
}

function byteAt(body: Uint8Array, at: number): number {
  const byte = body[at];
  if (byte === undefined) throw new InflateError("unexpected end");
  return byte;
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  // In bounds: an index of eight bits into 256 entries.
  for (const byte of bytes) crc = (crc >>> 8) ^ crcTable[(crc ^ byte) & 0xff]!;
  return ~crc >>> 0;
}

function createCrcTable(): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, index) => {
    let crc = index;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    return crc;
  });
}

function join(members: readonly Uint8Array[]): Uint8Array {
  if (members.length === 1 && members[0] !== undefined) return members[0];
  const whole = new Uint8Array(members.reduce((sum, member) => sum + member.length, 0));
  let at = 0;
  for (const member of members) {
    whole.set(member, at);
    at += member.length;
  }
  return whole;
}
