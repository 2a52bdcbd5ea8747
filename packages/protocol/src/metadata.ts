/**
 * The metadata block of version 2: pairs of strings, each written as a length of one or two bytes
 * and that many bytes of UTF-8. Not to be confused with the map of an Auth. [§5.4]
 */

import { metadataBytesMax } from "./layout.ts";
import { type Metadata, ProtocolError } from "./packet.ts";

/** Shared by every packet that has none. */
export const emptyMetadata: Metadata = Object.freeze(createMetadata());

/** The longest string whose length fits into 15 bits. */
const stringBytesMax = 0x7fff;
/** The longest string whose length takes one byte. */
const shortBytesMax = 0x7f;

const textEncoder = new TextEncoder();
// Never fatal: bytes that are not UTF-8 become replacement characters. [D06]
// ignoreBOM keeps a leading U+FEFF, which is part of the value.
const textDecoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Reads the pairs in `bytes` from `start` up to `end`. Keys come in lower case; if one repeats, the
 * last wins. Throws ProtocolError "bad-metadata".
 */
export function decodeMetadata(bytes: Uint8Array, start = 0, end = bytes.length): Metadata {
  if (start === end) return emptyMetadata;

  const metadata = createMetadata();
  let at = start;
  while (at < end) {
    const key = readString();
    if (at === end) throw badMetadata("Cannot read metadata: the last key has no value");
    metadata[key.toLowerCase()] = readString();
  }
  return metadata;

  function readString(): string {
    const length = readLength();
    if (length > end - at) {
      throw badMetadata(
        `Cannot read metadata: a string of ${length} bytes, ${end - at} bytes are left`,
      );
    }
    at += length;
    return textDecoder.decode(bytes.subarray(at - length, at));
  }

  function readLength(): number {
    // The callers have seen that at < end.
    const first = bytes[at]!;
    at += 1;
    if (first <= shortBytesMax) return first;

    if (at === end) throw badMetadata("Cannot read metadata: a length lacks its second byte");
    const length = ((first & shortBytesMax) << 8) | bytes[at]!;
    at += 1;
    // There is one way to write each length.
    if (length <= shortBytesMax) {
      throw badMetadata(`Cannot read metadata: length ${length} is written in two bytes`);
    }
    return length;
  }
}

/**
 * Keys are written in lower case. Pairs with an empty key, and with a string that cannot be
 * written, are left out; so is all that follows the pair with which the block would be too long.
 */
export function encodeMetadata(metadata: Metadata): Uint8Array {
  const strings: Uint8Array[] = []; // key, value, key, value, ...
  let size = 0; // of the block they make

  for (const [key, value] of Object.entries(metadata)) {
    if (key === "") continue;
    const keyBytes = textEncoder.encode(key.toLowerCase());
    const valueBytes = textEncoder.encode(value);
    if (keyBytes.length > stringBytesMax || valueBytes.length > stringBytesMax) continue;
    const pairSize = stringSize(keyBytes) + stringSize(valueBytes);
    if (size + pairSize > metadataBytesMax) break;
    strings.push(keyBytes, valueBytes);
    size += pairSize;
  }

  const block = new Uint8Array(size);
  let at = 0;
  for (const string of strings) at = writeString(block, at, string);
  return block;
}

function stringSize(string: Uint8Array): number {
  return string.length + (string.length <= shortBytesMax ? 1 : 2);
}

/** Returns where the next string starts. */
function writeString(block: Uint8Array, at: number, string: Uint8Array): number {
  let start = at;
  if (string.length > shortBytesMax) {
    block[start] = 0x80 | (string.length >>> 8);
    start += 1;
  }
  // An array of bytes keeps the low 8 bits.
  block[start] = string.length;
  start += 1;
  block.set(string, start);
  return start + string.length;
}

/** Without a prototype: the keys are the peer's, and "__proto__" is one like any other. */
function createMetadata(): Record<string, string> {
  return Object.create(null);
}

function badMetadata(message: string): ProtocolError {
  return new ProtocolError("bad-metadata", message);
}
