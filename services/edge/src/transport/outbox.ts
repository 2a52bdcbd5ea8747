/**
 * Bytes a TCP socket has not taken yet: first in, first out, never more than the bounds allow.
 * Packets of one turn of the event loop leave in one write. The module knows no socket: `flush`
 * is lent a `write` that takes what it can and says how many bytes that was.
 */
import type { OutboundBudget } from "./transport.ts";

/** Packets up to this size are gathered into one buffer; larger ones are written as they are. */
const gatherBytesMax = 16 * 1024;
const scratch = new Uint8Array(64 * 1024);

export class Outbox {
  /** Whole packets, save that the first may have lost `taken` bytes to an earlier write. */
  private queue: Uint8Array[] = [];
  private taken = 0;
  /** The bytes of `queue` that are still to be written; counted in the node's budget, too. */
  pendingBytes = 0;
  private readonly budget: OutboundBudget;

  constructor(budget: OutboundBudget) {
    this.budget = budget;
  }

  /** False: it did not fit, and nothing was queued. A first packet always fits the connection. */
  add(packet: Uint8Array): boolean {
    const { budget } = this;
    if (this.pendingBytes > 0) {
      if (this.pendingBytes + packet.length > budget.connectionBytesMax) return false;
      if (this.queue.length >= budget.connectionPacketsMax) return false;
      if (budget.nodeBytes + packet.length > budget.nodeBytesMax) return false;
    }
    this.queue.push(packet);
    this.pendingBytes += packet.length;
    budget.nodeBytes += packet.length;
    return true;
  }

  /** The last words: they ride above the bounds, since they are at most some hundred bytes. */
  addLast(packet: Uint8Array): void {
    this.queue.push(packet);
    this.pendingBytes += packet.length;
    this.budget.nodeBytes += packet.length;
  }

  /** Writes until the socket takes no more. `write` returns the bytes it took, 0 when full. */
  flush(write: (bytes: Uint8Array) => number): number {
    let total = 0;
    while (this.pendingBytes > 0) {
      const bytes = this.gather();
      const took = Math.max(0, write(bytes));
      this.drop(took);
      total += took;
      if (took < bytes.length) break;
    }
    return total;
  }

  /** Forgets all packets but the rest of one that is half on the wire. */
  discard(): void {
    const kept = this.taken > 0 ? this.queue.slice(0, 1) : [];
    const keptBytes = (kept[0]?.length ?? 0) - (kept.length > 0 ? this.taken : 0);
    this.budget.nodeBytes -= this.pendingBytes - keptBytes;
    this.queue = kept;
    this.pendingBytes = keptBytes;
  }

  /** Forgets everything. May be called twice. */
  clear(): void {
    this.budget.nodeBytes -= this.pendingBytes;
    this.queue = [];
    this.taken = 0;
    this.pendingBytes = 0;
  }

  /** The next bytes to write, as one array: valid until the next call. */
  private gather(): Uint8Array {
    const first = this.queue[0]!; // pendingBytes > 0, so the queue is not empty
    if (this.queue.length === 1 || first.length - this.taken > gatherBytesMax) {
      return this.taken === 0 ? first : first.subarray(this.taken);
    }
    let length = 0;
    let from = this.taken;
    for (const packet of this.queue) {
      const room = scratch.length - length;
      const size = packet.length - from;
      if (size > gatherBytesMax || room === 0) break;
      const count = Math.min(size, room);
      // A view is dearer than the copy of a small packet, and most are gathered whole.
      scratch.set(count === packet.length ? packet : packet.subarray(from, from + count), length);
      length += count;
      from = 0;
    }
    return scratch.subarray(0, length);
  }

  /** Takes `count` written bytes off the front. */
  private drop(count: number): void {
    this.pendingBytes -= count;
    this.budget.nodeBytes -= count;
    if (this.pendingBytes === 0) {
      // An idle connection keeps no array grown by a busy minute.
      if (this.queue.length > 64) this.queue = [];
      else this.queue.length = 0;
      this.taken = 0;
      return;
    }
    let rest = count + this.taken;
    let whole = 0;
    while (rest >= this.queue[whole]!.length) rest -= this.queue[whole++]!.length;
    if (whole > 0) this.queue.splice(0, whole);
    this.taken = rest;
  }
}
