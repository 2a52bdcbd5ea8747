/** The Close push of every ending, and the golden vectors. [§7.1] */

import { describe, expect, test } from "bun:test";
import { closeRows, defaultLimits, fromHex, toHex } from "../test/vectors.ts";
import { type CloseCode, closeCodeNames, type Ending, endings, hintsOf } from "./close.ts";
import { closePacket } from "./close-packet.ts";
import { decodeClose, encodeClose } from "./control.ts";
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

describe("hints of a Close", () => {
  const { serverShutdown, displaced, takenOver, heartbeatTimeout, storeUnavailable, memoryLimit } =
    endings;

  test("close packet with hints is the one without, and two fields behind it", () => {
    const plain = toHex(closePacket(1, displaced));
    const hinted = closePacket(1, displaced, { retryAfterMs: 2000, reconnect: false });

    expect(toHex(hinted).slice(10)).toBe(`${plain.slice(10)}a006d00fa80600`);
    expect(decodeClose(hinted.subarray(5)).hints).toEqual({ retryAfterMs: 2000, reconnect: false });
  });

  test.each([
    [{ retryAfterMs: 0 }, "a00600"],
    [{ retryAfterMs: 4_294_967_295 }, "a006ffffffff0f"],
    [{ reconnect: true }, "a80601"],
    [{ reconnect: false }, "a80600"],
  ])("hint %p is written even if it is the default of its type", (hints, hex) => {
    const body = encodeClose(0, "", hints);

    expect(toHex(body)).toBe(hex);
    expect(decodeClose(body)).toEqual({ code: 0, reason: "", hints });
  });

  test.each([-1, 4_294_967_296, 1.5])("hint to wait %p ms is a bug", (retryAfterMs) => {
    expect(() => encodeClose(0, "", { retryAfterMs })).toThrow();
  });

  test("a Close without hints has none, whatever other fields follow", () => {
    expect(decodeClose(fromHex("0802120172b00601"))).toStrictEqual({ code: 2, reason: "r" });
  });

  test("hints of a shutdown are spread over two seconds, those of a storm over four", () => {
    expect(hintsOf(storeUnavailable, () => 0.5)).toEqual({ retryAfterMs: 2000 });
    expect(hintsOf(storeUnavailable, () => 0.999_999)).toEqual({ retryAfterMs: 4000 });
    expect(hintsOf(serverShutdown, () => 0)).toEqual({ retryAfterMs: 0 });
    expect(hintsOf(serverShutdown, () => 0.5)).toEqual({ retryAfterMs: 1000 });
    expect(hintsOf(serverShutdown, () => 0.999_999)).toEqual({ retryAfterMs: 2000 });
  });

  test("hints say stay away after a newer login, and when to come back after an outage", () => {
    expect(hintsOf(displaced, Math.random)).toEqual({ reconnect: false });
    expect(hintsOf(memoryLimit, Math.random)).toEqual({ retryAfterMs: 2000 });
    expect(hintsOf(takenOver, Math.random)).toBeUndefined();
    expect(hintsOf(heartbeatTimeout, Math.random)).toBeUndefined();
  });
});
