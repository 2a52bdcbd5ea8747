/** What a browser reads and writes, beside what the library does: same bytes, same values. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fuzz } from "../test/fuzz.ts";
import { controlRows, fromHex, toHex } from "../test/vectors.ts";
import * as library from "./control-messages.ts";
import * as browser from "./control-messages-browser.ts";

const text = fc.string({ unit: "binary", maxLength: 30 });
const metadata = fc.dictionary(text, text, { maxKeys: 5, noNullPrototype: true });
const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const loginAnswer = fc.record({
  sessionId: text,
  expires: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  limit: uint32,
  online: uint32,
});

const messages: {
  readonly [Name in keyof library.ControlMessages]: fc.Arbitrary<library.ControlMessages[Name]>;
} = {
  Close: fc.record(
    {
      code: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      reason: text,
      retryAfterMs: uint32,
      reconnect: fc.boolean(),
    },
    { requiredKeys: ["code", "reason"] },
  ),
  Heartbeat: fc.record(
    { timestamp: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), heartbeatId: fc.integer() },
    { requiredKeys: ["timestamp"] },
  ),
  AuthRequest: fc.record({ token: text, metadata }),
  AuthResponse: loginAnswer,
  ReconnectRequest: fc.record({ sessionId: text, metadata }),
  ReconnectResponse: loginAnswer,
  Error: fc.record(
    { code: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), msg: text, retryAfterMs: uint32 },
    { requiredKeys: ["code", "msg"] },
  ),
};

// Its keys are the names of the messages.
const names = Object.keys(messages) as (keyof library.ControlMessages)[];

/** The fields, or that there are none. */
function outcome(
  read: typeof library.readMessage,
  name: (typeof names)[number],
  bytes: Uint8Array,
) {
  try {
    const { $typeName: _, ...fields } = { $typeName: "", ...read(name, bytes) };
    return fields;
  } catch {
    return "refused";
  }
}

describe.each(names)("%s for browsers", (name) => {
  test("message is written as the library does, and read back", () => {
    fc.assert(
      fc.property(messages[name] as fc.Arbitrary<library.ControlMessages["Close"]>, (fields) => {
        const written = browser.writeMessage(name, fields as never);

        expect(toHex(written)).toBe(toHex(library.writeMessage(name, fields as never)));
        expect<unknown>(browser.readMessage(name, written)).toEqual(fields);
      }),
      fuzz,
    );
  });

  test("message with damaged bytes has the outcome that the library gives it", () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(
        messages[name] as fc.Arbitrary<library.ControlMessages["Close"]>,
        damage,
        (fields, places) => {
          const bytes = library.writeMessage(name, fields as never);
          for (const [at, byte] of places) {
            if (bytes.length > 0) bytes[at % bytes.length] = byte;
          }
          const ours = outcome(browser.readMessage, name, bytes);
          expect<unknown>(ours).toEqual(outcome(library.readMessage, name, bytes));
        },
      ),
      fuzz,
    );
  });
});

describe("vectors for browsers", () => {
  const known = controlRows.filter(({ message }) => names.some((name) => name === message));

  test.each(known)("$name is read as the library does", ({ message, hex }) => {
    const name = message as (typeof names)[number]; // filtered above

    expect<unknown>(outcome(browser.readMessage, name, fromHex(hex))).toEqual(
      outcome(library.readMessage, name, fromHex(hex)),
    );
  });

  test.each([-1, 4_294_967_296, 1.5])("wait of %p ms is refused", (retryAfterMs) => {
    expect(() => browser.writeMessage("Close", { code: 0, reason: "", retryAfterMs })).toThrow();
  });
});
