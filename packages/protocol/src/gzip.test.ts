/** Compressed bodies: what is refused, and that a bomb does no harm. [§5.6] */

import { describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { faultIn, faultOf, join } from "../test/feed.ts";
import { compressBody, decompressBody, gzipBody, inflateLater } from "./gzip.ts";

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;

describe("decompressBody", () => {
  test("body of exactly the limit inflates, and one of a byte more is too large", () => {
    const body = new Uint8Array(1000).fill(7);

    expect(decompressBody(gzipBody(body), 1000)).toEqual(body);
    expect(faultIn(() => decompressBody(gzipBody(body), 999))).toBe("too-large");
  });

  test("body without content inflates under a limit of 0, and no other does", () => {
    expect(decompressBody(gzipBody(new Uint8Array(0)), 0)).toEqual(new Uint8Array(0));
    expect(faultIn(() => decompressBody(gzipBody(new Uint8Array(1)), 0))).toBe("too-large");
  });

  test("body cut at any byte is bad gzip", () => {
    const compressed = gzipBody(new TextEncoder().encode("holdfast ".repeat(20)));

    for (let length = 0; length < compressed.length; length += 1) {
      const fault = faultIn(() => decompressBody(compressed.subarray(0, length), mebibyte));
      expect(fault).toBe("bad-gzip");
    }
  });

  test("body with anything behind its member is bad gzip, zeros included", () => {
    const compressed = gzipBody(new Uint8Array(100));

    for (const junk of ["00", "0000000000000000", "01", "1f", "1f8b", "1f8b08", "ffffffffffff"]) {
      const body = join([compressed, Uint8Array.fromHex(junk)]);
      expect(faultIn(() => decompressBody(body, mebibyte))).toBe("bad-gzip");
    }
  });

  test("body of two members counts as both together", () => {
    const twice = join([gzipBody(new Uint8Array(600)), gzipBody(new Uint8Array(600))]);

    expect(decompressBody(twice, 1200).length).toBe(1200);
    expect(faultIn(() => decompressBody(twice, 1199))).toBe("too-large");
  });

  test("body in another format of zlib is bad gzip", () => {
    expect(faultIn(() => decompressBody(Bun.deflateSync(new Uint8Array(9)), 100))).toBe("bad-gzip");
  });

  test("body that lies about its size is neither cut nor waited for", () => {
    const compressed = gzipBody(new Uint8Array(1000));
    for (const claim of [0, 1, 999, 1001, 0xffffffff]) {
      const lie = compressed.slice();
      new DataView(lie.buffer).setUint32(lie.length - 4, claim, true);

      expect(faultIn(() => decompressBody(lie, mebibyte))).toBe("bad-gzip");
    }
  });

  // Goal: what a bomb costs depends on the limit, not on the bomb. 256 MiB of zeros, compressed
  // twice a thousandfold, would take seconds and all that memory; the limit ends it at once.
  test("bomb of 256 MiB is too large, and takes no more memory than the limit", () => {
    const bomb = gzipSync(new Uint8Array(256 * mebibyte), { level: 9 });
    Bun.gc(true);
    const before = process.memoryUsage().rss;

    for (let round = 0; round < 10; round += 1) {
      expect(faultIn(() => decompressBody(bomb, 4 * mebibyte))).toBe("too-large");
    }

    expect(bomb.length).toBeLessThan(mebibyte);
    expect(process.memoryUsage().rss - before).toBeLessThan(128 * mebibyte);
  });

  test("body is a plain Uint8Array that holds on to nothing else", () => {
    const body = decompressBody(gzipBody(new Uint8Array(10)), 100);

    expect(Buffer.isBuffer(body)).toBe(false);
    expect(body.buffer.byteLength).toBe(10);
  });
});

describe("inflateLater", () => {
  const random = crypto.getRandomValues(new Uint8Array(1000));
  const zeros = gzipBody(new Uint8Array(mebibyte));
  const lying = (claim: number) => {
    const lie = zeros.slice();
    new DataView(lie.buffer).setUint32(lie.length - 4, claim, true);
    return lie;
  };
  const cases: readonly (readonly [what: string, body: Uint8Array, limit: number])[] = [
    ["as large as its limit", zeros, mebibyte],
    ["a byte larger than its limit", zeros, mebibyte - 1],
    ["larger than many pieces", zeros, 4 * mebibyte],
    ["nothing", gzipBody(new Uint8Array(0)), 0],
    ["that became no smaller", gzipBody(random), mebibyte],
    ["of a large member and a small one", join([zeros, gzipBody(random)]), 2 * mebibyte],
    ["of a small member and a large one", join([gzipBody(random), zeros]), 2 * mebibyte],
    ["of two members that are too large together", join([zeros, zeros]), 2 * mebibyte - 1],
    ["that is cut", zeros.subarray(0, -5), 2 * mebibyte],
    ["of three bytes", zeros.subarray(0, 3), mebibyte],
    ["that says it is nothing", lying(0), mebibyte],
    ["that says it is smaller", lying(mebibyte - 1), mebibyte],
    ["that says it is larger", lying(mebibyte + 1), 2 * mebibyte],
    ["that says it is as large as can be", lying(0xffffffff), 2 * mebibyte],
    ["with a byte behind it", join([zeros, Uint8Array.of(1)]), 2 * mebibyte],
  ];

  test.each(cases)("body %s is what decompressBody makes of it", async (_, body, limit) => {
    const later = await inflateLater(body, limit).catch((error: unknown) => error);

    const fault = later instanceof Uint8Array ? null : faultOf(later);
    expect(fault).toBe(faultIn(() => decompressBody(body, limit)));
    if (later instanceof Uint8Array) expect(later).toEqual(decompressBody(body, limit));
  });
});

describe("compressBody", () => {
  test("body of fewer bytes than the minimum is left alone [D08]", () => {
    expect(compressBody(new Uint8Array(1023), 1024)).toBeNull();
    expect(compressBody(new Uint8Array(1024), 1024)).not.toBeNull();
  });

  test("body that would not become smaller is left alone [D08]", () => {
    const noise = crypto.getRandomValues(new Uint8Array(2000));

    expect(compressBody(noise, 1024)).toBeNull();
  });

  test("body is one member, and inflates to what it was", () => {
    const body = new TextEncoder().encode("holdfast ".repeat(500));

    const compressed = compressBody(body, 1024) ?? new Uint8Array(0);

    expect(compressed.length).toBeLessThan(body.length);
    expect(decompressBody(compressed, body.length)).toEqual(body);
  });
});
