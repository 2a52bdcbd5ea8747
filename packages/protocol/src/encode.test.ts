/** Writing packets: golden vectors, and what cannot be written. */

import { describe, expect, test } from "bun:test";
import { faultIn } from "../test/feed.ts";
import { defaultLimits, fromHex, packetRows, toHex, toPacket } from "../test/vectors.ts";
import { encode, encodePush, encodeRequest, encodeResponse } from "./encode.ts";
import { compressBody } from "./gzip.ts";
import { decodeMessage } from "./message.ts";
import type { Packet, Request } from "./packet.ts";

const nothing = new Uint8Array(0);

const request: Request = {
  type: "request",
  command: 9,
  requestId: 1,
  timeoutMs: 0,
  metadata: {},
  body: nothing,
  gzip: false,
  verification: null,
};

describe("encode", () => {
  for (const row of packetRows) {
    const packet = toPacket(row.packet);

    if (row.encode_exact) {
      test(`packet of version ${row.version} is written byte for byte: ${row.name}`, () => {
        expect(toHex(encode(packet, row.version))).toBe(row.hex);
      });
    }

    test(`packet of version ${row.version} is read back: ${row.name}`, () => {
      const read = decodeMessage(encode(packet, row.version), row.version, defaultLimits);

      expect(read).toEqual({ ...packet, metadata: withoutEmptyKey(packet) });
    });
  }

  test("body of 16,777,215 bytes is written, one byte more is too large [§5.5]", () => {
    for (const version of [1, 2] as const) {
      const inside = new Uint8Array(0xffffff);
      const outside = new Uint8Array(0x1000000);

      expect(encodePush(version, 9, inside).length).toBe(0xffffff + (version === 1 ? 5 : 7));
      expect(faultIn(() => encodePush(version, 9, outside))).toBe("too-large");
      expect(faultIn(() => encode({ ...request, body: outside }, version))).toBe("too-large");
    }
  });

  test("body of 16,777,216 bytes is written if it is short when compressed", () => {
    const body = new Uint8Array(0x1000000);
    const limits = { ...defaultLimits, inflatedBytesMax: body.length };

    const bytes = encode({ ...request, body, gzip: true }, 1);

    expect(bytes.length).toBeLessThan(20_000);
    expect(decodeMessage(bytes, 1, limits).body.length).toBe(body.length);
  });

  test("metadata is dropped in version 1", () => {
    const packet = { ...request, metadata: { k: "v" } };

    expect(toHex(encode(packet, 1))).toBe("0109000000010000000000");
    expect(toHex(encode(packet, 2))).toBe("01090000000100000004000000016b0176");
  });

  test("numbers that do not fit into their field are refused", () => {
    expect(() => encodePush(1, 256, nothing)).toThrow(RangeError);
    expect(() => encodePush(1, -1, nothing)).toThrow(RangeError);
    expect(() => encodePush(1, 0.5, nothing)).toThrow(RangeError);
    expect(() => encodeResponse(1, 9, 1, 256, nothing)).toThrow(RangeError);
    expect(() => encodeResponse(1, 9, 2 ** 32, 0, nothing)).toThrow(RangeError);
    expect(() => encodeRequest(1, 9, 1, 65_536, nothing)).toThrow(RangeError);
    expect(() => encodeRequest(1, 9, Number.NaN, 0, nothing)).toThrow(RangeError);
  });

  test("nonce or signature of another length is refused", () => {
    for (const [nonce, signature] of [
      [7, 16],
      [9, 16],
      [8, 15],
      [8, 17],
    ] as const) {
      const verification = {
        nonce: new Uint8Array(nonce),
        signature: new Uint8Array(signature),
      };
      expect(() => encode({ ...request, verification }, 1)).toThrow(RangeError);
    }
  });
});

describe("encodeRequest, encodeResponse and encodePush", () => {
  test.each([0, 1, 128, 129, 300])("response takes a body of %d bytes out of others", (count) => {
    const around = Uint8Array.from({ length: 400 }, (_, index) => index);
    const body = around.slice(7, 7 + count);

    const packet = encodeResponse(2, 50, 9, 7, around, undefined, 7, 7 + count);

    expect(packet).toEqual(encodeResponse(2, 50, 9, 7, body));
    expect(packet.slice(packet.length - count)).toEqual(body);
  });

  const body = fromHex("aabbcc");
  const metadata = { k: "v" };

  test("their packets are those of encode in both versions", () => {
    const shared = { command: 50, metadata, body, gzip: false, verification: null };
    const ids = { requestId: 0xfffefdfc };
    for (const version of [1, 2] as const) {
      const options = { metadata };

      expect(encodeRequest(version, 50, ids.requestId, 65_535, body, options)).toEqual(
        encode({ type: "request", ...shared, ...ids, timeoutMs: 65_535 }, version),
      );
      expect(encodeResponse(version, 50, ids.requestId, 7, body, options)).toEqual(
        encode({ type: "response", ...shared, ...ids, status: 7 }, version),
      );
      expect(encodePush(version, 50, body, options)).toEqual(
        encode({ type: "push", ...shared }, version),
      );
    }
  });

  test("their body is marked as compressed, and left as it is, when it comes from compressBody", () => {
    const text = new TextEncoder().encode("holdfast ".repeat(300));
    const compressed = compressBody(text, 1024) ?? nothing;
    const options = { isCompressed: true };

    for (const bytes of [
      encodeRequest(1, 9, 1, 0, compressed, options),
      encodeResponse(1, 9, 1, 0, compressed, options),
      encodePush(1, 9, compressed, options),
    ]) {
      expect(bytes.subarray(-compressed.length)).toEqual(compressed);
      expect(decodeMessage(bytes, 1, defaultLimits)).toMatchObject({ gzip: true, body: text });
    }
  });
});

/** It is accepted on receipt, and skipped when written. [§5.4] */
function withoutEmptyKey(packet: Packet): Record<string, string> {
  return Object.fromEntries(Object.entries(packet.metadata).filter(([key]) => key !== ""));
}
