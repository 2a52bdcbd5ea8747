/** One WebSocket message is one packet: golden vectors, and the order of what is checked. */

import { describe, expect, test } from "bun:test";
import { faultIn, join } from "../test/feed.ts";
import { defaultLimits, fromHex, malformedRows, packetRows, toPacket } from "../test/vectors.ts";
import { encodePush } from "./encode.ts";
import { decodeMessage } from "./message.ts";
import type { DecoderLimits } from "./parse.ts";

describe("decodeMessage", () => {
  for (const row of packetRows) {
    const message = fromHex(row.hex);

    test(`message of version ${row.version} is read: ${row.name}`, () => {
      expect(decodeMessage(message, row.version, defaultLimits)).toEqual(toPacket(row.packet));
    });

    test(`message of version ${row.version} is truncated at any byte: ${row.name}`, () => {
      for (let length = 0; length < message.length; length += 1) {
        const cut = message.subarray(0, length);
        expect(faultIn(() => decodeMessage(cut, row.version, defaultLimits))).toBe("truncated");
      }
    });

    test(`message of version ${row.version} has nothing trailing: ${row.name}`, () => {
      const longer = join([message, Uint8Array.of(1)]);
      expect(faultIn(() => decodeMessage(longer, row.version, defaultLimits))).toBe("trailing");
    });
  }

  for (const row of malformedRows) {
    test(`message is refused: ${row.name}`, () => {
      const limits = bombLimits(row.name);
      const fault = faultIn(() => decodeMessage(fromHex(row.hex), row.version, limits));
      expect(fault).toBe(row.message_error);
    });
  }

  test("message with only a header that announces too much is too large, not truncated [§9]", () => {
    for (const [hex, version] of [
      ["0104000000010000ffffff", 1],
      ["01040000000100000000ffffff", 2],
      ["0304001001", 1],
    ] as const) {
      const limits = { ...defaultLimits, bodyBytesMax: 4096 };
      expect(faultIn(() => decodeMessage(fromHex(hex), version, limits))).toBe("too-large");
    }
  });

  test("message with trailing bytes says so before its gzip is looked at", () => {
    const message = fromHex("2309000001ff00");

    expect(faultIn(() => decodeMessage(message, 1, defaultLimits))).toBe("trailing");
  });

  test("message that is too large is refused even if streams would be held", () => {
    const limits: DecoderLimits = { ...defaultLimits, bodyBytesMax: 10, hold: true };

    expect(decodeMessage(encodePush(1, 9, new Uint8Array(10)), 1, limits).body.length).toBe(10);
    const larger = encodePush(1, 9, new Uint8Array(11));
    expect(faultIn(() => decodeMessage(larger, 1, limits))).toBe("too-large");
  });

  test("message in a part of a larger buffer is read where it lies", () => {
    const buffer = Buffer.from("ffff03090000024142ffff", "hex");

    const packet = decodeMessage(buffer.subarray(2, 9), 1, defaultLimits);

    expect(packet.body).toEqual(Uint8Array.of(0x41, 0x42));
    expect(packet.body.buffer).toBe(buffer.buffer);
    expect(Buffer.isBuffer(packet.body)).toBe(false);
  });
});

/** The row of the bomb assumes another limit than the rest. [§15] */
function bombLimits(name: string): DecoderLimits {
  if (name !== "decompression bomb") return defaultLimits;
  return { ...defaultLimits, inflatedBytesMax: 1024 * 1024 };
}
