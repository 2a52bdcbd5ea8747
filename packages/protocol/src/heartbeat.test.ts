/** The encoder that is written by hand, against the library's decoder. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fuzz } from "../test/fuzz.ts";
import { toHex } from "../test/vectors.ts";
import { decodeHeartbeat } from "./control.ts";
import { encodeHeartbeat } from "./heartbeat.ts";

describe("encodeHeartbeat", () => {
  test("heartbeat is the one that Go sends", () => {
    expect(toHex(encodeHeartbeat(1_700_000_000_123, 7))).toBe("08fbd095ffbc311007");
  });

  test("heartbeat of any numbers is read back by the protobuf library", () => {
    fc.assert(
      fc.property(
        fc.maxSafeInteger(),
        fc.option(fc.integer({ min: -0x80000000, max: 0x7fffffff })),
        (timestampMs, id) => {
          expect(decodeHeartbeat(encodeHeartbeat(timestampMs, id))).toEqual({ timestampMs, id });
        },
      ),
      fuzz,
    );
  });

  test("heartbeat around each length of a number is read back", () => {
    for (let bits = 0; bits <= 52; bits += 1) {
      for (const timestampMs of [2 ** bits - 1, 2 ** bits, 2 ** bits + 1]) {
        expect(decodeHeartbeat(encodeHeartbeat(timestampMs)).timestampMs).toBe(timestampMs);
      }
    }
  });

  test("heartbeat of a request id above 2^31 - 1 keeps its 32 bits", () => {
    expect(decodeHeartbeat(encodeHeartbeat(1, 0xffffffff)).id).toBe(-1);
    expect(decodeHeartbeat(encodeHeartbeat(1, 0x80000000)).id).toBe(-0x80000000);
  });

  test("heartbeat of what is no whole number is refused", () => {
    for (const value of [0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      expect(() => encodeHeartbeat(value, 1)).toThrow(RangeError);
    }
  });
});
