/**
 * Bytes a socket has not taken yet: first in, first out, never more than the bounds allow. Packets
 * of one turn of the event loop leave in one write; on WebSocket each in a frame, whose head is
 * written only when it goes out.
 */
import type { OutboundBudget } from "./transport.ts";
import { frameHeadBytes, writeFrameHead } from "./ws-frame.ts";

/** Packets up to this size are gathered into one buffer; larger ones are written as they are. */
const gatherBytesMax = 16 * 1024;
const scratch = new Uint8Array(64 * 1024);
/** Views of its beginning, made once: each costs as much as the copying of a small packet. */
const shortBytesMax = 512;
const shortViews: Uint8Array[] = [];

function shortView(length: number): Uint8Array {
  for (let size = shortViews.length; size <= length; size++) {
    shortViews.push(scratch.subarray(0, size));
  }
  return shortViews[length]!; // there are more than `length`
}

/** What the module knows of a socket. */
export interface Sink {
  /** Takes what it can, and says how many bytes that was: 0 when it is full. */
  write(bytes: Uint8Array): number;
}

/** As the first byte of a frame: these bytes are in none. */
export const unframed = 0;

export class Outbox {
  /** Whole packets, save that the first may have lost `taken` bytes to an earlier write. */
  private queue: Uint8Array[] = [];
  /** The first bytes of their frames; null while all have `opening`. */
  private openings: number[] | null = null;
  /** Bytes of the first packet that are written, those of the head of its frame included. */
  private taken = 0;
  /** The bytes of `queue` that are still to be written; counted in the node's budget, too. */
  pendingBytes = 0;
  /** The same, with the heads of their frames, which take no memory until they are written. */
  wireBytes = 0;
  private readonly budget: OutboundBudget;
  private readonly opening: number;

  /** `opening` is the first byte of the frame of each packet. */
  constructor(budget: OutboundBudget, opening = unframed) {
    this.budget = budget;
    this.opening = opening;
  }

  /** False: it did not fit, and nothing was queued. A first packet always fits the connection. */
  add(packet: Uint8Array, opening = this.opening): boolean {
    const { budget } = this;
    if (this.pendingBytes > 0) {
      if (this.pendingBytes + packet.length > budget.connectionBytesMax) return false;
      if (this.queue.length >= budget.connectionPacketsMax) return false;
      if (budget.nodeBytes + packet.length > budget.nodeBytesMax) return false;
    }
    this.put(this.queue.length, packet, opening);
    return true;
  }

  /** The last words: they ride above the bounds, since they are at most some hundred bytes. */
  addLast(packet: Uint8Array, opening = this.opening): void {
    this.put(this.queue.length, packet, opening);
  }

  /** Ahead of all that is not on its way yet, and above the bounds: for what is small and rare. */
  addNext(packet: Uint8Array, opening: number): void {
    this.put(this.taken > 0 ? 1 : 0, packet, opening);
  }

  /**
   * Writes until the socket takes no more. Returns how many bytes of packets left.
   */
  flush(socket: Sink): number {
    const before = this.pendingBytes;
    while (this.wireBytes > 0) {
      const bytes = this.gather();
      const took = Math.max(0, socket.write(bytes));
      this.drop(took);
      if (took < bytes.length) break;
    }
    return before - this.pendingBytes;
  }

  /** Forgets all packets but the rest of one that is half on the wire. */
  discard(): void {
    if (this.taken === 0) {
      this.clear();
      return;
    }
    const head = this.headBytes(0);
    const kept = this.queue[0]!; // it is half on the wire
    const keptBytes = kept.length - Math.max(0, this.taken - head);
    this.budget.nodeBytes -= this.pendingBytes - keptBytes;
    this.queue = [kept];
    if (this.openings !== null) this.openings.length = 1;
    this.pendingBytes = keptBytes;
    this.wireBytes = head + kept.length - this.taken;
  }

  /** Forgets everything. May be called twice. */
  clear(): void {
    this.budget.nodeBytes -= this.pendingBytes;
    this.queue = [];
    this.openings = null;
    this.taken = 0;
    this.pendingBytes = 0;
    this.wireBytes = 0;
  }

  private put(at: number, packet: Uint8Array, opening: number): void {
    if (opening !== this.opening && this.openings === null) {
      this.openings = new Array(this.queue.length).fill(this.opening);
    }
    if (at === this.queue.length) {
      this.queue.push(packet);
      this.openings?.push(opening);
    } else {
      this.queue.splice(at, 0, packet);
      this.openings?.splice(at, 0, opening);
    }
    this.pendingBytes += packet.length;
    this.wireBytes += packet.length + frameHeadBytes(opening, packet.length);
    this.budget.nodeBytes += packet.length;
  }

  private openingOf(index: number): number {
    return this.openings === null ? this.opening : this.openings[index]!; // as long as the queue
  }

  private headBytes(index: number): number {
    return frameHeadBytes(this.openingOf(index), this.queue[index]!.length); // within the queue
  }

  /** The next bytes to write, as one array: valid until the next call. */
  private gather(): Uint8Array {
    const first = this.queue[0]!; // wireBytes > 0, so the queue is not empty
    const head = this.headBytes(0);
    const start = this.taken - head; // within the packet
    if (start >= 0 && (this.queue.length === 1 || first.length - start > gatherBytesMax)) {
      return start === 0 ? first : first.subarray(start);
    }
    return this.gatherMany();
  }

  private gatherMany(): Uint8Array {
    let length = 0;
    let from = this.taken;
    // The head of the first is written whole, and what of it has left is cut off again.
    const skip = Math.min(from, this.headBytes(0));
    for (let index = 0; index < this.queue.length; index++) {
      const packet = this.queue[index]!; // index < length
      const opening = this.openingOf(index);
      const head = frameHeadBytes(opening, packet.length);
      const room = scratch.length - length - head;
      const start = Math.max(0, from - head);
      const size = packet.length - start;
      const isLarge = size > gatherBytesMax;
      // The beginning of a large one goes with its head; unframed it is written as it is.
      if (room <= 0 || (isLarge && head === 0)) break;
      if (head > 0) writeFrameHead(scratch, length, opening, packet.length);
      length += head;
      const count = Math.min(size, room, gatherBytesMax);
      // A view is dearer than the copy of a small packet, and most are gathered whole.
      scratch.set(count === packet.length ? packet : packet.subarray(start, start + count), length);
      length += count;
      from = 0;
      if (count < size) break;
    }
    return skip === 0 && length <= shortBytesMax
      ? shortView(length)
      : scratch.subarray(skip, length);
  }

  /** Takes `count` written bytes off the front. */
  private drop(count: number): void {
    this.wireBytes -= count;
    if (this.wireBytes === 0) {
      this.budget.nodeBytes -= this.pendingBytes;
      this.pendingBytes = 0;
      // An idle connection keeps no array grown by a busy minute.
      if (this.queue.length > 64) this.queue = [];
      else this.queue.length = 0;
      this.openings = null;
      this.taken = 0;
      return;
    }
    let head = this.headBytes(0);
    let dropped = -Math.max(0, this.taken - head);
    let rest = count + this.taken;
    let whole = 0;
    while (rest >= head + this.queue[whole]!.length) {
      const { length } = this.queue[whole++]!; // more is left than `rest`
      dropped += length;
      rest -= head + length;
      head = this.headBytes(whole);
    }
    if (whole > 0) {
      this.queue.splice(0, whole);
      this.openings?.splice(0, whole);
    }
    this.taken = rest;
    dropped += Math.max(0, rest - head);
    this.pendingBytes -= dropped;
    this.budget.nodeBytes -= dropped;
  }
}
