/**
 * Deadlines of requests, kept in slots of 25 ms by one timer per node: a timer each would cost
 * more than the request.
 */
const slotMs = 25;

export interface Timed {
  /** Monotonic milliseconds. */
  readonly deadlineMs: number;
  expired(): void;
}

export interface Deadlines {
  add(entry: Timed): void;
  remove(entry: Timed): void;
  /** Calls `expired` on all that are due: never early, and late by one slot at most. */
  tick(nowMs: number): void;
  readonly size: number;
  readonly intervalMs: number;
}

export function createDeadlines(startMs: number): Deadlines {
  const slots = new Map<number, Set<Timed>>();
  let lastSlot = slotOf(startMs) - 1;
  let size = 0;

  return {
    intervalMs: slotMs,
    get size() {
      return size;
    },
    add(entry) {
      // One that is already due must not fall into a slot that has gone by.
      const key = Math.max(slotOf(entry.deadlineMs), lastSlot + 1);
      const slot = slots.get(key);
      if (slot) slot.add(entry);
      else slots.set(key, new Set([entry]));
      size++;
    },
    remove(entry) {
      // An empty slot stays until its time: the next request of a busy moment falls into it, too.
      if (slots.get(slotOf(entry.deadlineMs))?.delete(entry)) size--;
    },
    tick(nowMs) {
      const current = Math.floor(nowMs / slotMs);
      for (; lastSlot < current && slots.size > 0; lastSlot++) expire(lastSlot + 1);
      lastSlot = Math.max(lastSlot, current);
    },
  };

  function expire(key: number): void {
    const slot = slots.get(key);
    if (!slot) return;
    slots.delete(key);
    size -= slot.size;
    for (const entry of slot) entry.expired();
  }
}

/** The first slot that ends at or after the moment. */
function slotOf(ms: number): number {
  return Math.ceil(ms / slotMs);
}
