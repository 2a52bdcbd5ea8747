/**
 * Frames of clients become messages. A frame that lies whole in one chunk is read where it lies;
 * what does not, and what comes in fragments, is put together in an `Assembly`, which exists only
 * while something is unfinished: an idle connection keeps none. RFC 6455, section 5.
 */
import { enlargePiece, freePiece } from "@holdfast/protocol";
import { FrameFault, isCloseCode, Opening, unmask, unmaskedCopy } from "./ws-frame.ts";

/** Who is told what has been read. */
export interface FrameTarget {
  assembly: Assembly | null;
  /** Nothing more is read for it. */
  readonly isEnding: boolean;
  /** Nothing more is read for it just now: between two frames. */
  readonly isPaused: boolean;
  /** The most a message may have just now, in bytes; asked only above `leastMessageBytes`. */
  messageBytesMax(): number;
  readonly leastMessageBytes: number;
  /** The bytes belong to the receiver from now on. */
  messageRead(bytes: Uint8Array): void;
  /** A text message has begun; whatever it says, it is none of ours. */
  textRead(): void;
  pingRead(payload: Uint8Array): void;
  pongRead(payload: Uint8Array): void;
  /** Any frame but the last, or only, one of a message. */
  frameRead(isControl: boolean): void;
  /** A good close frame; null: one without a code. */
  closeRead(code: number | null): void;
  violated(fault: FrameFault): void;
  /** What the assembly holds has been given up, right before it is handed on. */
  released(): void;
}

/** Up to this size a message is copied out of its chunk, as that is cheaper than a view. */
const copiedBytesMax = 512;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Reads the chunk, which belongs to the reader. Returns where it stopped, as it had to. */
export function readFrames(target: FrameTarget, chunk: Uint8Array): number {
  let at = 0;
  while (at < chunk.length && !target.isEnding && !target.isPaused) {
    if (target.assembly === null) {
      const next = readWhole(target, chunk, at);
      if (next > at) {
        at = next;
        continue;
      }
      target.assembly = new Assembly();
    }
    at = target.assembly.read(target, chunk, at);
  }
  return at;
}

/** A binary message in one frame that is all here: where it ends. 0: it is something else. */
function readWhole(target: FrameTarget, chunk: Uint8Array, at: number): number {
  const left = chunk.length - at;
  if (left < 6 || chunk[at] !== Opening.binary) return 0;
  const sizeByte = chunk[at + 1]!; // there are six
  let size = sizeByte - 0x80;
  let head = 6;
  if (size < 0 || size === 127) return 0;
  if (size === 126) {
    if (left < 8) return 0;
    head = 8;
    size = (chunk[at + 2]! << 8) | chunk[at + 3]!; // there are eight
  }
  if (left < head + size) return 0;
  if (size > target.leastMessageBytes && size > target.messageBytesMax()) return 0;
  target.messageRead(takeOut(chunk, at + head, size));
  return at + head + size;
}

/** The payload without its mask, which lies before it. */
function takeOut(chunk: Uint8Array, start: number, size: number): Uint8Array {
  if (size <= copiedBytesMax) return unmaskedCopy(chunk, start, size, start - 4);
  // A view keeps its whole chunk alive.
  const isMost = 2 * size >= chunk.buffer.byteLength;
  const bytes = isMost ? chunk.subarray(start, start + size) : chunk.slice(start, start + size);
  unmask(bytes, 0, size, chunk, start - 4);
  return bytes;
}

const nothing = new Uint8Array(0);
const headBytesMax = 14;
const pieceBytesMin = 64;

/** One frame that is not whole yet, and the message it belongs to. */
export class Assembly {
  private readonly head = new Uint8Array(headBytesMax);
  private headLength = 0;
  /** Of the frame that is being read; two until they are here. */
  private headSize = 2;
  /** Bytes of its payload that have not come. */
  private frameLeft = 0;
  private control: Uint8Array | null = null;
  private controlLength = 0;
  /** The fragments so far, and the frame that is being read from `frameStart` on, with its mask. */
  private piece: Uint8Array = nothing;
  private length = 0;
  private frameStart = 0;
  private isMessageOpen = false;

  /** What it keeps of the node's memory. */
  get heldBytes(): number {
    return this.piece.length;
  }

  /** Forgets what it holds: its memory is free at once. */
  drop(): void {
    freePiece(this.piece);
    this.piece = nothing;
    this.length = 0;
  }

  /** Reads one frame, or what there is of it. Returns where it stopped. */
  read(target: FrameTarget, chunk: Uint8Array, from: number): number {
    let at = from;
    while (this.headLength < this.headSize) {
      if (at === chunk.length) return at;
      this.head[this.headLength++] = chunk[at++]!; // below the length
      const fault = this.judgeHead(target);
      if (fault !== null) {
        if (fault === "text") target.textRead();
        else target.violated(fault);
        return chunk.length;
      }
    }
    const count = Math.min(this.frameLeft, chunk.length - at);
    if (count > 0) this.take(target, chunk, at, count);
    at += count;
    if (this.frameLeft === 0) this.finishFrame(target);
    else if (this.isTooLarge(target)) target.violated(FrameFault.tooLarge);
    return at;
  }

  /** After each byte of a head: what is wrong is said as soon as it shows. */
  private judgeHead(target: FrameTarget): FrameFault | "text" | null {
    const first = this.head[0]!; // there is one
    const sizeByte = this.head[1]!; // looked at once it is there
    if (this.headLength === 1) return this.judgeOpening(first);
    if (this.headLength === 2) {
      if (sizeByte < 0x80) return FrameFault.protocol; // no mask
      if (first >= Opening.close && sizeByte > 0x80 + 125) return FrameFault.protocol;
      this.headSize = sizeByte < 0xfe ? 6 : sizeByte === 0xfe ? 8 : headBytesMax;
      return null;
    }
    if (this.headLength < this.headSize) return null;
    return this.beginPayload(target);
  }

  /** Reserved bits, opcodes, fragments that do not fit together. */
  private judgeOpening(first: number): FrameFault | "text" | null {
    if ((first & 0x70) !== 0) return FrameFault.protocol;
    const opcode = first & 0x0f;
    if (opcode >= 8) return first >= Opening.close && opcode <= 10 ? null : FrameFault.protocol;
    if (opcode > 2 || (opcode === 0) !== this.isMessageOpen) return FrameFault.protocol;
    return opcode === 1 ? "text" : null;
  }

  private beginPayload(target: FrameTarget): FrameFault | null {
    this.frameLeft = this.readSize();
    if (this.frameLeft < 0) return FrameFault.protocol;
    if (this.isControl) {
      this.control = new Uint8Array(this.frameLeft);
      this.controlLength = 0;
      return null;
    }
    this.isMessageOpen = true;
    this.frameStart = this.length;
    return this.isTooLarge(target) ? FrameFault.tooLarge : null;
  }

  private get isControl(): boolean {
    return this.head[0]! >= Opening.close; // there is a head
  }

  /** -1: the highest of 64 bits is set. */
  private readSize(): number {
    const { head } = this;
    const short = head[1]! & 0x7f; // the head is whole
    if (short < 126) return short;
    if (short === 126) return (head[2]! << 8) | head[3]!;
    if (head[2]! >= 0x80) return -1;
    let size = 0;
    for (let index = 2; index < 10; index++) size = size * 256 + head[index]!;
    return size;
  }

  /** Asked again with each chunk: a login that was refused meanwhile allows less. */
  private isTooLarge(target: FrameTarget): boolean {
    if (this.isControl) return false;
    const bytes = this.length + this.frameLeft;
    return bytes > target.leastMessageBytes && bytes > target.messageBytesMax();
  }

  private take(target: FrameTarget, chunk: Uint8Array, at: number, count: number): void {
    const part = chunk.subarray(at, at + count);
    this.frameLeft -= count;
    if (this.control !== null) {
      this.control.set(part, this.controlLength);
      this.controlLength += count;
      return;
    }
    this.makeRoom(target, this.length + count);
    this.piece.set(part, this.length);
    this.length += count;
  }

  /** A length that is only announced costs nothing; bytes that drip cost linear time. */
  private makeRoom(target: FrameTarget, bytes: number): void {
    if (bytes <= this.piece.length) return;
    const isLast = this.head[0]! >= 0x80; // there is a head
    const frameEnd = bytes + this.frameLeft;
    // Nobody knows what follows a fragment: many small ones cost linear time, too.
    const growth = Math.min(Math.max(frameEnd, 2 * this.piece.length), target.messageBytesMax());
    const most = isLast ? frameEnd : Math.max(bytes, growth);
    const size = Math.min(most, Math.max(pieceBytesMin, 2 * bytes));
    this.piece = enlargePiece(this.piece, size);
  }

  private finishFrame(target: FrameTarget): void {
    const { head, headSize } = this;
    const first = head[0]!; // the frame is whole
    this.headLength = 0;
    this.headSize = 2;
    if (this.control !== null) {
      const payload = this.control;
      this.control = null;
      unmask(payload, 0, payload.length, head, headSize - 4);
      if (!this.isMessageOpen) target.assembly = null;
      target.frameRead(true);
      tellControl(target, first, payload);
      return;
    }
    unmask(this.piece, this.frameStart, this.length, head, headSize - 4);
    if (first < 0x80) {
      target.frameRead(false); // fragments follow
      return;
    }
    target.assembly = null;
    target.released();
    const { piece, length } = this;
    target.messageRead(piece.length === length ? piece : piece.subarray(0, length));
  }
}

function tellControl(target: FrameTarget, opening: number, payload: Uint8Array): void {
  if (opening === Opening.ping) target.pingRead(payload);
  else if (opening === Opening.pong) target.pongRead(payload);
  else if (payload.length === 0) target.closeRead(null);
  else if (payload.length === 1) target.violated(FrameFault.protocol);
  else {
    const code = (payload[0]! << 8) | payload[1]!; // there are two
    if (!isCloseCode(code)) target.violated(FrameFault.protocol);
    else if (isUtf8(payload.subarray(2))) target.closeRead(code);
    else target.violated(FrameFault.notUtf8);
  }
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    utf8.decode(bytes);
    return true;
  } catch {
    return false;
  }
}
