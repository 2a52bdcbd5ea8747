/** The Close push of every ending, and the golden vectors. [§7.1] */

import { describe, expect, test } from "bun:test";
import { closeRows, defaultLimits, toHex } from "../test/vectors.ts";
import { type CloseCode, closeCodeNames, type Ending, endings } from "./close.ts";
import { closePacket } from "./close-packet.ts";
import { decodeClose } from "./control.ts";
import { decodeMessage } from "./message.ts";

const told = Object.entries<Ending>(endings).filter(([, ending]) => ending.code !== null);

describe("closePacket", () => {
  for (const row of closeRows) {
    test(`close packet of ${row.name} is written byte for byte`, () => {
      // The row's code is one of the table: its name is compared.
      const ending: Ending = { code: row.code as CloseCode, reason: row.reason, by: "server" };

      expect(toHex(closePacket(1, ending))).toBe(row.push_v1);
      expect(toHex(closePacket(2, ending))).toBe(row.push_v2);
      expect<string | undefined>(closeCodeNames[row.code]).toBe(row.name);
    });
  }

  for (const [name, ending] of told) {
    test(`close packet of ${name} says code and reason in both versions`, () => {
      for (const version of [1, 2] as const) {
        const packet = decodeMessage(closePacket(version, ending), version, defaultLimits);

        expect(packet).toMatchObject({ type: "push", command: 0, gzip: false });
        expect<unknown>(decodeClose(packet.body)).toEqual({
          code: ending.code,
          reason: ending.reason,
        });
      }
    });
  }

  test("close packet has a reason of 1 to 100 bytes", () => {
    for (const [, ending] of told) {
      expect(ending.reason.length).toBeGreaterThan(0);
      expect(Buffer.byteLength(ending.reason)).toBeLessThanOrEqual(100);
    }
  });

  test("close packet is made once for each version", () => {
    expect(closePacket(1, endings.displaced)).toBe(closePacket(1, endings.displaced));
    expect(closePacket(2, endings.displaced)).not.toBe(closePacket(1, endings.displaced));
  });

  test("close packet of an ending of which the peer is told nothing is a bug", () => {
    expect(() => closePacket(1, endings.connectionLost)).toThrow("without a code");
  });
});
