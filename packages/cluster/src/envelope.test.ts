import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { ClusterEvent, Question } from "./bus.ts";
import { connectEvent } from "./contract.ts";
import { decodeAnswer, decodeEvent, encodeAnswer, encodeEvent } from "./envelope.ts";

const text = fc.string({ unit: "grapheme" });
const address = fc.record({
  node: fc.string({ minLength: 1 }),
  connection: fc.string({ minLength: 1 }),
});
const time = fc.maxSafeNat();

describe("decodeAnswer", () => {
  test("answer decodes to what was encoded, without the fraction of its time", () => {
    const bytes = encodeAnswer({ node: "edge-1-af", reachingMs: 45_000.4 });

    expect(decodeAnswer(bytes)).toEqual({ node: "edge-1-af", reachingMs: 45_000 });
  });

  test("answer without a name is refused", () => {
    expect(() => decodeAnswer(new Uint8Array())).toThrow("it names no node");
  });
});

describe("decodeEvent", () => {
  test("event decodes to what was encoded", () => {
    const events: fc.Arbitrary<ClusterEvent | Question> = fc.oneof(
      fc.record({
        type: fc.constant("connect" as const),
        account: text,
        by: address,
        displaced: fc.array(fc.record({ connection: text, generation: fc.maxSafeNat() })),
        takenOver: fc.array(fc.record({ connection: text, generation: fc.maxSafeNat() })),
        atMs: time,
        ack: fc.boolean(),
      }),
      fc.record({
        type: fc.constant("acked" as const),
        node: text,
        by: text,
        connections: fc.array(text),
      }),
      fc.constant({ type: "reach" as const }),
      fc.record({
        type: fc.constant("ended" as const),
        losers: fc.array(fc.record({ connection: text, generation: fc.maxSafeNat() })),
        reason: text,
      }),
      fc.record({ type: fc.constant("drain" as const), inTurn: fc.boolean() }),
    );

    fc.assert(
      fc.property(events, (event) => {
        expect(decodeEvent(encodeEvent(event))).toEqual(event);
      }),
    );
  });

  test("random bytes raise an error or give an event, and nothing else", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          const types = ["connect", "ended", "drain", "acked", "reach"];
          expect(types).toContain(decodeEvent(bytes).type);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
    );
  });

  test("event cut anywhere is never taken for the whole one", () => {
    const bytes = encodeEvent(connectEvent);

    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeEvent(bytes.subarray(0, length))).toThrow();
    }
  });

  test("empty message is no event", () => {
    expect(() => decodeEvent(new Uint8Array())).toThrow("it is of no known type");
  });

  test("event of a later release is refused", () => {
    const fieldFifteen = Uint8Array.of(0x7a, 0x00);

    expect(() => decodeEvent(fieldFifteen)).toThrow("it is of no known type");
  });

  test("field of a later release is skipped", () => {
    const bytes = Uint8Array.of(...encodeEvent({ type: "drain", inTurn: true }), 0x7a, 0x00);

    expect(decodeEvent(bytes)).toEqual({ type: "drain", inTurn: true });
  });

  test("connect event without an address is refused", () => {
    const bytes = encodeEvent({ ...connectEvent, by: { node: "", connection: "" } });

    expect(() => decodeEvent(bytes)).toThrow("Cannot decode address: a part is missing");
  });

  test("connect event of the release before asks for no ack", () => {
    const bytes = encodeEvent({ ...connectEvent, ack: false }); // false is not written

    expect(decodeEvent(bytes)).toEqual({ ...connectEvent, ack: false });
  });

  test("time with a fraction is rounded, for the wire has none", () => {
    const bytes = encodeEvent({ ...connectEvent, atMs: 12.7 });

    expect(decodeEvent(bytes)).toEqual({ ...connectEvent, atMs: 13 });
  });

  test("number beyond what a number can hold is refused", () => {
    const connect = [0x28, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]; // its time
    const bytes = Uint8Array.of(...encodeEvent(connectEvent), 0x0a, connect.length, ...connect);

    expect(() => decodeEvent(bytes)).toThrow("Cannot decode number 9223372036854775807");
  });
});
