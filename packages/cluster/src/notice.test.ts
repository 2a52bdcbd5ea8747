import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Notice } from "./bus.ts";
import { openedNotice } from "./contract.ts";
import { decodeNotice, encodeNotice } from "./notice.ts";

const text = fc.string({ unit: "grapheme" });
const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,128}$/);
const number = fc.maxSafeNat();

describe("decodeNotice", () => {
  test("notice decodes to what was encoded", () => {
    const notices: fc.Arbitrary<Notice> = fc.record({
      kind: fc.constantFrom("opened", "resumed", "closed", "lapsed"),
      tag: text,
      account: text,
      sid: text,
      seat: fc.record({ node: name, connection: name }),
      generation: number,
      reason: text,
      atMs: number,
    });

    fc.assert(
      fc.property(notices, (notice) => {
        expect(decodeNotice(encodeNotice(notice))).toEqual(notice);
      }),
    );
  });

  test("notice is the JSON that other languages read", () => {
    const told: unknown = JSON.parse(new TextDecoder().decode(encodeNotice(openedNotice)));

    expect(told).toEqual({
      kind: "opened",
      account: "konto-Ä-账户-🦀",
      tag: "4f1c",
      session: "s1",
      generation: 12,
      seat: "b/b_7_1",
      reason: "",
      atMs: 1_790_000_000_123,
    });
  });

  test("field of a later release is skipped", () => {
    const fields = { ...fieldsOf(openedNotice), colour: "blue" };

    expect(decodeNotice(bytesOf(fields))).toEqual(openedNotice);
  });

  test.each([
    ["kind of a later release", { kind: "moved" }, "kind moved is not known"],
    ["missing kind", { kind: undefined }, "kind is no text"],
    ["account that is a number", { account: 7 }, "account is no text"],
    ["seat without a node", { seat: "/b_7_1" }, "seat is not node/connection"],
    ["seat with three parts", { seat: "a/b/c" }, "seat is not node/connection"],
    ["generation with a fraction", { generation: 1.5 }, "generation is no whole number"],
    ["generation beyond a number", { generation: 2 ** 53 }, "generation is no whole number"],
    ["generation below zero", { generation: -1 }, "generation is no whole number"],
    ["time that is a text", { atMs: "now" }, "atMs is no whole number"],
  ])("notice with a %s is refused", (_name, change, reason) => {
    const bytes = bytesOf({ ...fieldsOf(openedNotice), ...change });

    expect(() => decodeNotice(bytes)).toThrow(`Cannot decode notice: ${reason}`);
  });

  test("random bytes raise an error, and nothing else", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => decodeNotice(bytes)).toThrow(Error);
      }),
    );
  });

  test("time with a fraction is rounded, for the wire has none", () => {
    const bytes = encodeNotice({ ...openedNotice, atMs: 12.7 });

    expect(decodeNotice(bytes)).toEqual({ ...openedNotice, atMs: 13 });
  });
});

function fieldsOf(notice: Notice): Record<string, unknown> {
  return JSON.parse(new TextDecoder().decode(encodeNotice(notice))) as Record<string, unknown>;
}

function bytesOf(fields: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(fields));
}
