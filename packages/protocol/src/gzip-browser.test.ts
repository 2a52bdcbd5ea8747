/** What browsers inflate with, beside zlib: the same bytes, and the same refusals. [§5.6] */

import { describe, expect, test } from "bun:test";
import { constants, gzipSync } from "node:zlib";
import fc from "fast-check";
import { faultIn, join } from "../test/feed.ts";
import { fuzz } from "../test/fuzz.ts";
import { decompressBody as zlibDecompress, gzipBody as zlibGzip } from "./gzip.ts";
import { compressBody, decompressBody, gzipBody } from "./gzip-browser.ts";

const mebibyte = 1024 * 1024;

/** Bytes with repetitions of all lengths, as real bodies have them, and noise between. */
const bodies = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.tuple(fc.uint8Array({ maxLength: 40 }), fc.nat(60)).map(([unit, times]) => {
        return join(Array.from({ length: times }, () => unit));
      }),
    ),
    { maxLength: 40 },
  )
  .map(join);

const levels = fc.record({
  level: fc.integer({ min: 0, max: 9 }),
  strategy: fc.constantFrom(
    constants.Z_DEFAULT_STRATEGY,
    constants.Z_FILTERED,
    constants.Z_HUFFMAN_ONLY,
    constants.Z_RLE,
    constants.Z_FIXED,
  ),
});

/** The bytes, or the fault. */
function outcome(decompress: typeof decompressBody, body: Uint8Array, max: number) {
  let inflated: Uint8Array | null = null;
  const fault = (() => {
    try {
      inflated = decompress(body, max);
      return null;
    } catch {
      return faultIn(() => decompress(body, max));
    }
  })();
  return { fault, inflated };
}

describe("decompressBody for browsers", () => {
  test("body of any level and strategy of zlib inflates to what it was", () => {
    fc.assert(
      fc.property(bodies, levels, (body, options) => {
        const compressed = new Uint8Array(gzipSync(body, options));
        expect(decompressBody(compressed, body.length)).toEqual(body);
        if (body.length === 0) return;
        expect(faultIn(() => decompressBody(compressed, body.length - 1))).toBe("too-large");
      }),
      fuzz,
    );
  });

  test("body with damaged bytes has the outcome that zlib gives it", () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(bodies, levels, damage, (body, options, places) => {
        const damaged = new Uint8Array(gzipSync(body, options));
        for (const [at, byte] of places) damaged[at % damaged.length] = byte;
        const ours = outcome(decompressBody, damaged, 64 * mebibyte);
        expect(ours).toEqual(outcome(zlibDecompress, damaged, 64 * mebibyte));
      }),
      fuzz,
    );
  });

  test("bytes that are no more than noise behind a header have the outcome of zlib", () => {
    const header = Uint8Array.fromHex("1f8b0800000000000003");
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        const body = join([header, noise]);
        expect(outcome(decompressBody, body, mebibyte)).toEqual(
          outcome(zlibDecompress, body, mebibyte),
        );
      }),
      { ...fuzz, numRuns: fuzz.numRuns * 3 },
    );
  });

  test("body cut at any byte is bad gzip, as is one with anything behind it", () => {
    const compressed = zlibGzip(new TextEncoder().encode("holdfast ".repeat(20)));

    for (let length = 0; length < compressed.length; length += 1) {
      const fault = faultIn(() => decompressBody(compressed.subarray(0, length), mebibyte));
      expect(fault).toBe("bad-gzip");
    }
    for (const junk of ["00", "1f", "1f8b", "1f8b08", "ffffffffffff"]) {
      const body = join([compressed, Uint8Array.fromHex(junk)]);
      expect(faultIn(() => decompressBody(body, mebibyte))).toBe("bad-gzip");
    }
  });

  test("body of two members counts as both together", () => {
    const twice = join([zlibGzip(new Uint8Array(600)), zlibGzip(new Uint8Array(600))]);

    expect(decompressBody(twice, 1200)).toEqual(new Uint8Array(1200));
    expect(faultIn(() => decompressBody(twice, 1199))).toBe("too-large");
  });

  test.each([
    ["a name", "08", "686900"],
    ["a comment", "10", "686900"],
    ["extra bytes", "04", "0300010203"],
    ["a name, a comment and extra bytes", "1c", "0100ff61006200"],
  ])("header with %s is passed over, and one cut within is bad gzip", (_, flag, fields) => {
    const plain = zlibGzip(new Uint8Array(9));
    const head = Uint8Array.fromHex(`1f8b08${flag}000000000003${fields}`);
    const body = join([head, plain.subarray(10)]);

    expect(decompressBody(body, 9)).toEqual(zlibDecompress(body, 9));
    expect(faultIn(() => decompressBody(head.subarray(0, -1), 9))).toBe("bad-gzip");
  });

  test("bomb stops at the limit, and costs no more than the limit", () => {
    const bomb = zlibGzip(new Uint8Array(64 * mebibyte));

    expect(faultIn(() => decompressBody(bomb, mebibyte))).toBe("too-large");
  });
});

describe("gzipBody for browsers", () => {
  test.each([0, 1, 65_535, 65_536, 200_000])("body of %p bytes is wrapped for zlib", (length) => {
    const body = crypto.getRandomValues(new Uint8Array(Math.min(length, 65_536)));
    const whole = join([body, new Uint8Array(length - body.length)]);

    expect(zlibDecompress(gzipBody(whole), length)).toEqual(whole);
    expect(decompressBody(gzipBody(whole), length)).toEqual(whole);
    expect(compressBody(whole, 0)).toBeNull();
  });
});
