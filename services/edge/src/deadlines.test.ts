import { describe, expect, test } from "bun:test";
import { createDeadlines, type Timed } from "./deadlines.ts";

function createEntry(deadlineMs: number, onExpired: () => void = () => {}) {
  const entry = {
    deadlineMs,
    slot: null as Timed[] | null,
    place: -1,
    count: 0,
    expired() {
      entry.count++;
      onExpired();
    },
  };
  return entry satisfies Timed;
}

describe("createDeadlines", () => {
  test.each([0, 1, 24, 25, 26, 49, 1000, 1234.5])(
    "entry due in %d ms expires never early, and late by one slot at most",
    (dueMs) => {
      const deadlines = createDeadlines(0);
      const entry = createEntry(dueMs);
      deadlines.add(entry);

      for (let nowMs = 0; nowMs < dueMs; nowMs++) deadlines.tick(nowMs);
      expect(entry.count).toBe(0);
      deadlines.tick(dueMs + deadlines.intervalMs);

      expect(entry.count).toBe(1);
    },
  );

  test("entry expires once", () => {
    const deadlines = createDeadlines(0);
    const entry = createEntry(10);
    deadlines.add(entry);

    for (let nowMs = 0; nowMs < 500; nowMs += 5) deadlines.tick(nowMs);

    expect(entry.count).toBe(1);
    expect(deadlines.size).toBe(0);
  });

  test("entries beside one that throws expire at the next tick, once each", () => {
    const deadlines = createDeadlines(0);
    const bad = createEntry(10, () => {
      throw new Error("a bug");
    });
    const others = [createEntry(10), createEntry(10)];
    for (const entry of [others[0]!, bad, others[1]!]) deadlines.add(entry); // two others

    expect(() => deadlines.tick(50)).toThrow("a bug");
    deadlines.tick(100);

    expect([bad.count, ...others.map(({ count }) => count)]).toEqual([1, 1, 1]);
    expect(deadlines.size).toBe(0);
  });

  test("removed entry does not expire", () => {
    const deadlines = createDeadlines(0);
    const [kept, removed] = [createEntry(10), createEntry(10)];
    deadlines.add(kept);
    deadlines.add(removed);

    deadlines.remove(removed);
    deadlines.remove(removed);
    expect(deadlines.size).toBe(1);
    deadlines.tick(100);

    expect([kept.count, removed.count]).toEqual([1, 0]);
  });

  test("entry that is due already expires at the next tick", () => {
    const deadlines = createDeadlines(0);
    deadlines.tick(1000);
    const entry = createEntry(500);

    deadlines.add(entry);
    deadlines.tick(1025);

    expect(entry.count).toBe(1);
  });

  test("all that fell due while the process stood still expire in the order of their slots", () => {
    const deadlines = createDeadlines(0);
    const order: number[] = [];
    for (const dueMs of [300, 100, 200]) {
      deadlines.add(createEntry(dueMs, () => order.push(dueMs)));
    }

    deadlines.tick(10_000);

    expect(order).toEqual([100, 200, 300]);
  });

  test("expiry may remove and add entries", () => {
    const deadlines = createDeadlines(0);
    const other = createEntry(200);
    const later = createEntry(400);
    const first = createEntry(100, () => {
      deadlines.remove(other);
      deadlines.add(later);
    });
    deadlines.add(first);
    deadlines.add(other);

    deadlines.tick(300);
    expect([first.count, other.count, later.count]).toEqual([1, 0, 0]);
    deadlines.tick(500);

    expect(later.count).toBe(1);
    expect(deadlines.size).toBe(0);
  });

  test("entries that leave a slot in any order take no other with them", () => {
    const deadlines = createDeadlines(0);
    const entries = Array.from({ length: 6 }, () => createEntry(10));
    for (const entry of entries) deadlines.add(entry);

    for (const index of [0, 5, 2, 2, 0]) deadlines.remove(entries[index]!); // there are six
    deadlines.tick(100);

    expect(entries.map(({ count }) => count)).toEqual([0, 1, 0, 1, 1, 0]);
    expect(deadlines.size).toBe(0);
  });

  test("entry that is due already when another expires does so at the next tick", () => {
    const deadlines = createDeadlines(0);
    const next = createEntry(10);
    deadlines.add(createEntry(100, () => deadlines.add(next)));

    deadlines.tick(100);
    expect(next.count).toBe(0);
    deadlines.tick(125);

    expect(next.count).toBe(1);
  });

  test("a clock that starts late is no stall", () => {
    const deadlines = createDeadlines(1e12);
    const entry = createEntry(1e12 + 50);
    deadlines.add(entry);

    deadlines.tick(1e12 + 25);
    expect(entry.count).toBe(0);
    deadlines.tick(1e12 + 75);

    expect(entry.count).toBe(1);
  });
});
