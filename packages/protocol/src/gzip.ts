/**
 * Bodies in gzip, RFC 1952. What comes in is untrusted: it has a ceiling on what it may inflate to,
 * and its own word about its size counts for nothing. In a build for browsers gzip-browser.ts takes
 * its place. [§5.6]
 */

import { gunzip, gunzipSync, gzipSync } from "node:zlib";
import { ProtocolError } from "./packet.ts";

/**
 * Throws ProtocolError: "too-large" if more than `inflatedBytesMax` come out, "bad-gzip" for
 * anything else. Several members in a row are taken as one. [D09]
 */
export function decompressBody(body: Uint8Array, inflatedBytesMax: number): Uint8Array {
  let inflated: Inflated;
  try {
    // Bun.gunzipSync knows no ceiling; this one stops as soon as it is reached.
    // `info` changes what is returned, and the types do not say so.
    inflated = gunzipSync(body, optionsOf(inflatedBytesMax)) as unknown as Inflated;
  } catch (error) {
    throw isTooLarge(error) ? tooLarge(inflatedBytesMax) : badGzip(error);
  }
  return checked(inflated, body, inflatedBytesMax);
}

/** The same on a thread of the runtime's, for bodies that take their time: packet.isDeflated. */
export function inflateLater(body: Uint8Array, inflatedBytesMax: number): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  gunzip(body, { ...optionsOf(inflatedBytesMax), chunkSize: pieceBytes }, (error, result) => {
    if (error) {
      reject(isTooLarge(error) ? tooLarge(inflatedBytesMax) : badGzip(error));
      return;
    }
    try {
      resolve(checked(result as unknown as Inflated, body, inflatedBytesMax)); // as above
    } catch (wrong) {
      reject(wrong);
    }
  });
  return promise;
}

/** Inflated at once on that thread; the pieces are put together on this one. */
const pieceBytes = 64 * 1024;

function optionsOf(inflatedBytesMax: number) {
  const maxOutputLength = Math.max(1, inflatedBytesMax); // 0 is refused as an argument
  return { maxOutputLength, info: true };
}

function checked(
  { buffer, engine }: Inflated,
  body: Uint8Array,
  inflatedBytesMax: number,
): Uint8Array {
  if (buffer.length > inflatedBytesMax) throw tooLarge(inflatedBytesMax);
  // zlib itself passes over zeros behind the member, as padding.
  if (engine.bytesWritten !== body.length) throw badGzip("bytes follow the member");
  // A view without the methods of Buffer, some of which share memory where Uint8Array copies.
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}

/** One member and nothing behind it, since some clients read one member only. [D08] */
export function gzipBody(body: Uint8Array): Uint8Array {
  const { buffer, byteOffset, length } = gzipSync(body);
  return new Uint8Array(buffer, byteOffset, length);
}

/** Null if the body is shorter than `gzipMinBytes`, or would not become smaller. [D08] */
export function compressBody(body: Uint8Array, gzipMinBytes: number): Uint8Array | null {
  if (body.length < gzipMinBytes) return null;
  const compressed = gzipBody(body);
  return compressed.length < body.length ? compressed : null;
}

/** What gunzipSync returns when asked for `info`. */
interface Inflated {
  readonly buffer: Uint8Array;
  /** bytesWritten: how many bytes of the input were used. */
  readonly engine: { readonly bytesWritten: number };
}

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE";
}

function tooLarge(inflatedBytesMax: number): ProtocolError {
  return new ProtocolError(
    "too-large",
    `Cannot inflate body: it is larger than the limit of ${inflatedBytesMax} bytes`,
  );
}

function badGzip(cause: unknown): ProtocolError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ProtocolError("bad-gzip", `Cannot inflate body: ${why}`);
}
