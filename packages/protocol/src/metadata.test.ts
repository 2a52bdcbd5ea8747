/** The metadata block against the golden vectors, and at its bounds. [§5.4] */

import { describe, expect, test } from "bun:test";
import { faultIn } from "../test/feed.ts";
import { fromHex, metadataBytes, metadataRows, metadataValues, toHex } from "../test/vectors.ts";
import { decodeMetadata, emptyMetadata, encodeMetadata } from "./metadata.ts";

describe("decodeMetadata", () => {
  for (const row of metadataRows) {
    if (row.ok) {
      test(`metadata is read: ${row.name}`, () => {
        expect(decodeMetadata(metadataBytes(row))).toEqual(metadataValues(row));
      });
    } else {
      test(`metadata is refused: ${row.name}`, () => {
        expect(faultIn(() => decodeMetadata(metadataBytes(row)))).toBe("bad-metadata");
      });
    }
  }

  test("metadata without pairs is one shared object that cannot be changed", () => {
    expect(decodeMetadata(new Uint8Array(0))).toBe(emptyMetadata);
    expect(Object.isFrozen(emptyMetadata)).toBe(true);
  });

  test("metadata with bytes that are not UTF-8 has replacement characters [D06]", () => {
    expect(decodeMetadata(fromHex("016b02ff61"))).toEqual({ k: "\ufffda" });
  });

  test("metadata keeps a byte order mark at the beginning of a value", () => {
    expect(decodeMetadata(fromHex("016b03efbbbf"))).toEqual({ k: "\ufeff" });
  });

  test("metadata with the key __proto__ has it like any other", () => {
    const metadata = decodeMetadata(encodeMetadata({ ["__proto__"]: "x", a: "b" }));

    expect(Object.entries(metadata)).toEqual([
      ["__proto__", "x"],
      ["a", "b"],
    ]);
  });

  test("metadata has no keys that were not sent", () => {
    expect(decodeMetadata(fromHex("016b0176"))["constructor"]).toBeUndefined();
  });

  test("metadata is read from a part of larger bytes", () => {
    expect(decodeMetadata(fromHex("ffff016b0176ff"), 2, 6)).toEqual({ k: "v" });
    expect(faultIn(() => decodeMetadata(fromHex("ffff016b0176ff"), 2, 5))).toBe("bad-metadata");
  });
});

describe("encodeMetadata", () => {
  for (const row of metadataRows.filter((row) => row.encode_exact)) {
    test(`metadata is written byte for byte: ${row.name}`, () => {
      expect(toHex(encodeMetadata(metadataValues(row)))).toBe(toHex(metadataBytes(row)));
    });
  }

  test("metadata is written with keys in lower case", () => {
    expect(toHex(encodeMetadata({ K: "V" }))).toBe("016b0156");
  });

  test("metadata with an empty key is left out", () => {
    expect(toHex(encodeMetadata({ "": "x", k: "v" }))).toBe("016b0176");
  });

  test("metadata with a string of 32,767 bytes is written, with one of 32,768 left out", () => {
    const inside = "x".repeat(32_767);
    const outside = "x".repeat(32_768);

    expect(decodeMetadata(encodeMetadata({ k: inside }))).toEqual({ k: inside });
    expect(decodeMetadata(encodeMetadata({ [inside]: "v" }))).toEqual({ [inside]: "v" });
    expect(toHex(encodeMetadata({ k: outside, a: "b" }))).toBe("01610162");
    expect(toHex(encodeMetadata({ [outside]: "v", a: "b" }))).toBe("01610162");
  });

  test("metadata fills a block of 65,535 bytes, and stops before one of 65,536", () => {
    // Each pair: key 1 + 1, length of the value 2.
    const first = "x".repeat(32_767); // 32,771
    const inside = { a: first, b: "y".repeat(32_760) }; // 32,764
    const outside = { a: first, b: "y".repeat(32_761), c: "" };

    expect(encodeMetadata(inside).length).toBe(65_535);
    expect(decodeMetadata(encodeMetadata(inside))).toEqual(inside);
    expect(decodeMetadata(encodeMetadata(outside))).toEqual({ a: first });
  });

  test("metadata lengths count bytes of UTF-8", () => {
    expect(toHex(encodeMetadata({ k: "é" }))).toBe("016b02c3a9");
  });
});
