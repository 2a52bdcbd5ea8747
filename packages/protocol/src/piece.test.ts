/** What a piece keeps as it grows, and that nothing of it stays behind. */
import { describe, expect, test } from "bun:test";
import { enlargePiece, freePiece } from "./piece.ts";

describe("pieces", () => {
  for (const bytes of [64, 16 * 1024, 1024 * 1024]) {
    test(`of ${bytes} bytes keep them when they grow`, () => {
      const larger = enlargePiece(new Uint8Array(bytes).fill(7), 2 * bytes);

      expect(larger.length).toBe(2 * bytes);
      expect(larger.subarray(0, bytes).every((byte) => byte === 7)).toBe(true);
      expect(larger.subarray(bytes).every((byte) => byte === 0)).toBe(true);
    });
  }

  test("what has been outgrown has no memory any more", () => {
    const piece = new Uint8Array(1024 * 1024);

    enlargePiece(piece, 2 * piece.length);

    expect(piece.length).toBe(0);
  });

  test("what is given up has no memory any more", () => {
    const piece = new Uint8Array(1024 * 1024);

    freePiece(piece);

    expect(piece.length).toBe(0);
  });

  test("part of a larger buffer is left as it is", () => {
    const whole = new Uint8Array(1024 * 1024).fill(7);

    freePiece(whole.subarray(0, 512 * 1024));

    expect(whole.length).toBe(1024 * 1024);
    expect(enlargePiece(whole.subarray(512 * 1024), 1024 * 1024)[0]).toBe(7);
    expect(whole.length).toBe(1024 * 1024);
  });
});
