/**
 * A stream of chunks, cut anywhere, becomes whole packets. There is one decoder per connection, so
 * it is a class, and small: between packets it holds no bytes at all.
 *
 * A packet that lies whole in one chunk is read where it lies, save that a small body is copied.
 * One that does not is put together in a piece, a buffer of its own that doubles as bytes arrive,
 * up to the size of the packet: bytes that come one by one cost linear time, a length that is only
 * announced costs nothing, and no large chunk is kept alive for the few bytes at its end.
 */

import { headerSize } from "./layout.ts";
import { Command, type Packet, ProtocolError, type Version } from "./packet.ts";
import {
  type DecoderLimits,
  headerIncomplete,
  measurePacket,
  parsePacket,
  readType,
} from "./parse.ts";
import { enlargePiece, freePiece } from "./piece.ts";

/** The first size of a piece, unless the packet is shorter: any header fits. */
const pieceBytesMin = 64;

export class Decoder {
  readonly #version: Version;
  #limits: DecoderLimits;
  /** What is being read; null when everything has been. */
  #chunk: Uint8Array | null = null;
  /** The first byte of the chunk that has not been read; below its length. */
  #chunkOffset = 0;
  /** Pushed while there was a chunk already. */
  #later: Uint8Array[] | null = null;
  /** A packet that some chunk did not hold whole: its bytes come before those of the chunk. */
  #piece: Uint8Array | null = null;
  /** How much of the piece is filled. */
  #pieceLength = 0;
  #isHeld = false;
  /** Why it is dead. */
  #error: ProtocolError | null = null;

  constructor(version: Version, limits: DecoderLimits) {
    this.#version = version;
    this.#limits = limits;
  }

  /**
   * Takes a chunk, cut anywhere. It belongs to the decoder, and to the packets read from it, from
   * now on. The caller SHOULD call `next` until it returns null before it pushes again; while
   * `isHeldByLimit` it MUST stop reading from its socket, since all that is pushed is kept.
   */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0 || this.#error !== null) return;
    if (this.#chunk === null) {
      this.#chunk = chunk;
      this.#chunkOffset = 0;
    } else if (this.#later === null) {
      this.#later = [chunk];
    } else {
      this.#later.push(chunk);
    }
  }

  /**
   * The next whole packet, or null when more bytes are needed, or when it `isHeldByLimit`. Throws
   * ProtocolError, after which the decoder is dead: it holds nothing, and throws the same again.
   */
  next(): Packet | null {
    if (this.#error !== null) throw this.#error;
    if (this.#isHeld) return null;
    try {
      return this.#read();
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      if (!this.#mayHold(error)) throw this.#die(error);
      this.#isHeld = true;
      this.#shrinkChunk();
      return null;
    }
  }

  /**
   * For a message that must not end within a packet: called after `next` has returned null, it
   * throws "truncated" if bytes are left. See `decodeMessage`, which needs no decoder.
   */
  finishMessage(): void {
    if (this.#error !== null) throw this.#error;
    if (this.#piece === null && this.#chunk === null) return;
    throw this.#die(new ProtocolError("truncated", "Cannot end message: a packet is unfinished"));
  }

  /** Bytes held: for an unfinished packet once `next` has returned null, and 0 between packets. */
  get pendingBytes(): number {
    let bytes = this.#piece === null ? 0 : this.#piece.length;
    if (this.#chunk !== null) bytes += this.#chunk.length - this.#chunkOffset;
    if (this.#later !== null) for (const chunk of this.#later) bytes += chunk.length;
    return bytes;
  }

  /**
   * True: `limits.hold` is set, and the next packet is larger than they allow. Whoever reads the
   * socket stops, and calls `setLimits` and `next` when more may be let in. [§5.5]
   */
  get isHeldByLimit(): boolean {
    return this.#isHeld;
  }

  /** Once authenticated. A packet that was held is looked at again by the next `next`. */
  setLimits(limits: DecoderLimits): void {
    this.#limits = limits;
    this.#isHeld = false;
  }

  /** Forgets what it holds: its memory is free at once. */
  drop(): void {
    if (this.#piece !== null) freePiece(this.#piece);
    this.#piece = null;
    this.#chunk = null;
    this.#later = null;
    this.#isHeld = false;
  }

  #read(): Packet | null {
    if (this.#piece !== null) return this.#readPiece();
    const chunk = this.#chunk;
    if (chunk === null) return null;

    const at = this.#chunkOffset;
    const available = chunk.length - at;
    const size = measurePacket(chunk, at, available, this.#version, this.#limits);
    if (size !== headerIncomplete && size <= available) {
      const packet = parsePacket(chunk, at, this.#version, this.#limits);
      this.#skip(size);
      return packet;
    }

    this.#piece = new Uint8Array(pieceSize(available, size));
    this.#pieceLength = 0;
    this.#fill(this.#piece, available);
    return this.#readPiece();
  }

  /** The packet of the piece, for which it takes what it needs; null if all has been taken. */
  #readPiece(): Packet | null {
    for (;;) {
      const piece = this.#piece;
      if (piece === null) return null;
      const length = this.#pieceLength;
      const size = measurePacket(piece, 0, length, this.#version, this.#limits);
      if (size === length) {
        // Reading may throw and yet hold the packet, so the piece goes after it.
        const packet = parsePacket(piece, 0, this.#version, this.#limits);
        this.#piece = null;
        return packet;
      }

      const chunk = this.#chunk;
      if (chunk === null) return null;
      const wanted =
        size === headerIncomplete ? headerSize(this.#version, readType(piece, 0)) : size;
      const count = Math.min(wanted - length, chunk.length - this.#chunkOffset);
      this.#fill(this.#makeRoom(piece, length + count, size), count);
    }
  }

  /** The piece, after it has been made large enough for `bytes`. */
  #makeRoom(piece: Uint8Array, bytes: number, size: number): Uint8Array {
    if (bytes <= piece.length) return piece;
    this.#piece = enlargePiece(piece, pieceSize(bytes, size));
    return this.#piece;
  }

  /** Moves bytes from the chunk to the piece, where there is room for them. */
  #fill(piece: Uint8Array, count: number): void {
    const chunk = this.#chunk;
    if (chunk === null) throw new Error("Cannot fill a piece without a chunk"); // a bug of ours
    const start = this.#chunkOffset;
    // A view of the whole is one object less, and the usual case when bytes come in small chunks.
    piece.set(
      count === chunk.length ? chunk : chunk.subarray(start, start + count),
      this.#pieceLength,
    );
    this.#pieceLength += count;
    this.#skip(count);
  }

  /** Moves on in the chunk, or to the chunk behind it. */
  #skip(count: number): void {
    this.#chunkOffset += count;
    if (this.#chunk !== null && this.#chunkOffset < this.#chunk.length) return;
    this.#chunk = null;
    this.#chunkOffset = 0;
    if (this.#later === null) return;
    this.#chunk = this.#later.shift() ?? null;
    if (this.#later.length === 0) this.#later = null;
  }

  #mayHold(error: ProtocolError): boolean {
    if (error.fault !== "too-large" || this.#limits.hold !== true) return false;
    // "too-large" takes a header, so the command is there. [§9]
    const command = this.#piece === null ? this.#chunk?.[this.#chunkOffset + 1] : this.#piece[1];
    return command !== Command.heartbeat;
  }

  /** What is held may be held for long: it shall not keep a much larger chunk alive. */
  #shrinkChunk(): void {
    const chunk = this.#chunk;
    if (chunk === null) return;
    const bytes = chunk.length - this.#chunkOffset;
    if (chunk.buffer.byteLength <= 2 * bytes) return;
    this.#chunk = new Uint8Array(chunk.subarray(this.#chunkOffset));
    this.#chunkOffset = 0;
  }

  #die(error: ProtocolError): ProtocolError {
    this.#error = error;
    this.#chunk = null;
    this.#later = null;
    this.#piece = null;
    return error;
  }
}

/** Room for `bytes` and as much again, but never more than the packet, if its size is known. */
function pieceSize(bytes: number, size: number): number {
  if (size === headerIncomplete) return pieceBytesMin;
  return Math.min(size, Math.max(pieceBytesMin, 2 * bytes));
}
