import { describe, expect, test } from "bun:test";
import { createFence, createNoticeOrder, type Ordered } from "./fence.ts";

const account = "anna";

describe("createFence", () => {
  test("fence lets a session on, and refuses what an earlier connection of it still sends", () => {
    const fence = createFence();

    expect(fence.admit({ session: "s", account, generation: 5 })).toBe(true);
    expect(fence.admit({ session: "s", account, generation: 5 })).toBe(true);
    expect(fence.admit({ session: "s", account, generation: 7 })).toBe(true);
    expect(fence.admit({ session: "s", account, generation: 5 })).toBe(false);
    expect(fence.admit({ session: "s", account, generation: 7 })).toBe(true);
  });

  test("sessions of one account do not fence each other, unless asked to", () => {
    const [bySession, byAccount] = [createFence(), createFence({ by: "account" })];
    const newer = { session: "b", account, generation: 9 };
    const older = { session: "a", account, generation: 5 };

    for (const fence of [bySession, byAccount]) fence.admit(newer);

    expect(bySession.admit(older)).toBe(true);
    expect(byAccount.admit(older)).toBe(false);
  });

  test("fence forgets the session that was quiet longest", () => {
    const fence = createFence({ rememberedMax: 2 });
    for (const session of ["a", "b"]) fence.admit({ session, account, generation: 5 });
    fence.admit({ session: "a", account, generation: 6 });

    fence.admit({ session: "c", account, generation: 5 });

    expect(fence.admit({ session: "a", account, generation: 5 })).toBe(false);
    expect(fence.admit({ session: "b", account, generation: 1 })).toBe(true);
  });
});

describe("createNoticeOrder", () => {
  const cases: readonly (readonly [string, readonly string[], string])[] = [
    ["a life in order", ["opened 5", "closed 5", "resumed 8", "lapsed 8"], ""],
    ["a close behind the resume elsewhere", ["opened 5", "resumed 8", "closed 5"], "closed 5"],
    ["an open behind its close", ["closed 5", "opened 5"], "opened 5"],
    ["an end told twice", ["opened 5", "closed 5", "lapsed 5"], "lapsed 5"],
    ["an open told twice", ["opened 5", "opened 5"], "opened 5"],
    ["a resume overtaken by a newer one", ["resumed 9", "resumed 8"], "resumed 8"],
  ];

  test.each(cases)("of %s only what is old is stale", (_name, told, stale) => {
    const order = createNoticeOrder();

    const found = told.filter((words) => order.isStale(noticeOf(words)));

    expect(found).toEqual(stale === "" ? [] : [stale]);
  });

  test("sessions do not age each other", () => {
    const order = createNoticeOrder();
    order.isStale({ kind: "opened", session: "a", generation: 9 });

    expect(order.isStale({ kind: "opened", session: "b", generation: 5 })).toBe(false);
  });
});

function noticeOf(words: string): Ordered {
  const [kind, generation] = words.split(" ");
  // Each is written above with a kind of the list.
  return { kind: kind as Ordered["kind"], session: "s", generation: Number(generation) };
}
