/**
 * Deadlines of requests, kept in slots of 25 ms by one timer per node: a timer each would cost
 * more than the request. An entry knows its place, so that most, which are removed in time, leave
 * nothing behind for the collector of garbage.
 */
const slotMs = 25;

export interface Timed {
  /** Monotonic milliseconds; stays as it is while the entry is here. */
  readonly deadlineMs: number;
  /** Written by `Deadlines` alone: null and -1 at first. */
  slot: Timed[] | null;
  place: number;
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
  const slots = new Map<number, Timed[]>();
  let lastSlot = slotOf(startMs) - 1;
  let size = 0;

  return {
    intervalMs: slotMs,
    get size() {
      return size;
    },
    add(entry) {
      put(entry);
      size++;
    },
    remove(entry) {
      // An empty slot stays until its time: the next request of a busy moment falls into it, too.
      const { slot, place } = entry;
      if (slot === null) return;
      const last = slot.pop()!; // the entry is in it
      last.place = place;
      if (last !== entry) slot[place] = last;
      forget(entry);
    },
    tick(nowMs) {
      const current = Math.floor(nowMs / slotMs);
      while (lastSlot < current && slots.size > 0) expire(++lastSlot);
      lastSlot = Math.max(lastSlot, current);
    },
  };

  function put(entry: Timed): void {
    // One that is already due must not fall into a slot that has gone by.
    const slot = slotAt(Math.max(slotOf(entry.deadlineMs), lastSlot + 1));
    entry.slot = slot;
    entry.place = slot.length;
    slot.push(entry);
  }

  function slotAt(key: number): Timed[] {
    let slot = slots.get(key);
    if (slot === undefined) {
      slot = [];
      slots.set(key, slot);
    }
    return slot;
  }

  function expire(key: number): void {
    const slot = slots.get(key);
    if (slot === undefined) return;
    slots.delete(key);
    try {
      for (let entry = slot.pop(); entry !== undefined; entry = slot.pop()) {
        forget(entry);
        entry.expired();
      }
    } finally {
      for (const entry of slot) put(entry); // one has thrown: the others have the next turn
    }
  }

  function forget(entry: Timed): void {
    entry.slot = null;
    entry.place = -1;
    size--;
  }
}

/** The first slot that ends at or after the moment. */
function slotOf(ms: number): number {
  return Math.ceil(ms / slotMs);
}
