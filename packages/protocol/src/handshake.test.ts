/** Handshakes against the golden vectors, and what they leave open. */

import { describe, expect, test } from "bun:test";
import { faultIn } from "../test/feed.ts";
import { fromHex, tcpHandshakeRows, wsHandshakeRows } from "../test/vectors.ts";
import {
  decodeQueryHandshake,
  decodeTcpHandshake,
  encodeQueryHandshake,
  encodeTcpHandshake,
} from "./handshake.ts";

describe("decodeTcpHandshake", () => {
  // A short one never reaches the function: waiting for two bytes is the transport's part.
  for (const row of tcpHandshakeRows.filter((row) => row.error !== "short-handshake")) {
    const [b0 = 0, b1 = 0] = fromHex(row.hex);

    if (row.ok) {
      test(`handshake of two bytes is read: ${row.name}`, () => {
        const { version, codec, platform } = row.fields ?? {};

        expect<unknown>(decodeTcpHandshake(b0, b1)).toEqual({ version, codec, platform });
      });
    } else {
      test(`handshake of two bytes is refused: ${row.name}`, () => {
        expect<unknown>(faultIn(() => decodeTcpHandshake(b0, b1))).toBe(row.error);
      });
    }
  }

  test("handshake of any two bytes is read as it is written, or refused", () => {
    for (let b0 = 0; b0 < 256; b0 += 1) {
      const isGood = b0 === 0x11 || b0 === 0x12;
      for (let platform = 0; platform < 16; platform += 1) {
        const fault = faultIn(() => {
          expect(encodeTcpHandshake(decodeTcpHandshake(b0, platform))).toEqual(
            Uint8Array.of(b0, platform),
          );
        });
        expect(fault === null).toBe(isGood);
      }
    }
  });
});

describe("decodeQueryHandshake", () => {
  for (const row of wsHandshakeRows) {
    if (row.ok) {
      test(`handshake in a query is read: ${row.name}`, () => {
        expect<unknown>(decodeQueryHandshake(row.query)).toEqual(row.fields);
        expect<unknown>(decodeQueryHandshake(new URLSearchParams(row.query))).toEqual(row.fields);
      });
    } else {
      test(`handshake in a query is refused: ${row.name}`, () => {
        expect<unknown>(faultIn(() => decodeQueryHandshake(row.query))).toBe(row.error);
      });
    }
  }

  test("handshake in a query may begin with a question mark", () => {
    expect(decodeQueryHandshake("?version=2&codec=1&platform=15")).toEqual({
      version: 2,
      codec: 1,
      platform: 15,
    });
  });

  test("handshake in a query is refused for anything but digits [D04]", () => {
    for (const value of ["1.0", "0x1", "1e0", " 1", "1 ", "-1", "%D9%A1", "1".repeat(400)]) {
      const query = `version=${value}&codec=1&platform=9`;
      expect(faultIn(() => decodeQueryHandshake(query))).toBe("bad-version");
    }
  });

  test("handshake in a query is refused for a last value that is bad [D04]", () => {
    const query = "version=1&codec=1&platform=9&version=x";

    expect(faultIn(() => decodeQueryHandshake(query))).toBe("bad-version");
  });

  test("handshake is the same after it has gone through a query", () => {
    const handshake = { version: 2, codec: 1, platform: 4 } as const;

    expect(decodeQueryHandshake(encodeQueryHandshake(handshake))).toEqual(handshake);
  });
});
