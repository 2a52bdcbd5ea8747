import { describe, expect, test } from "bun:test";
import { writeAscii, writeBytes, writeNumber, writePadded } from "./ascii.ts";

const textOf = (bytes: Uint8Array, end: number) => Buffer.from(bytes.subarray(0, end)).toString();

describe("writeNumber", () => {
  test.each([0, 9, 10, 99, 100, 4_294_967_295, 1_790_000_000_123, 9_007_199_254_740_991])(
    "%d is written as it reads",
    (value) => {
      const bytes = new Uint8Array(20);

      const end = writeNumber(bytes, 2, value);

      expect(textOf(bytes.subarray(2), end - 2)).toBe(String(value));
    },
  );
});

describe("writePadded", () => {
  test.each([0, 9, 10, 999, 9999])("%d has spaces before it, up to its place", (value) => {
    const bytes = new Uint8Array(5).fill(0x78);

    writePadded(bytes, 1, 5, value);

    expect(textOf(bytes, 5)).toBe(`x${String(value).padStart(4)}`);
  });
});

describe("writeBytes and writeAscii", () => {
  test.each([0, 1, 32, 33, 200])("text of %d characters is written where it is to be", (count) => {
    const text = "abcdefgh".repeat(25).slice(0, count);
    const [one, two] = [new Uint8Array(210), new Uint8Array(210)];

    const end = writeBytes(one, 3, Buffer.from(text));

    expect([end, writeAscii(two, 3, text)]).toEqual([3 + count, 3 + count]);
    expect(textOf(one.subarray(3), count)).toBe(text);
    expect(two).toEqual(one);
  });
});
