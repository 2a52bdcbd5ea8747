/** Control bodies against the golden vectors, and the bodies that are refused. [§7] */

import { describe, expect, test } from "bun:test";
import { controlRows, fromHex, toHex } from "../test/vectors.ts";
import {
  ControlBodyError,
  decodeAuthRequest,
  decodeAuthResponse,
  decodeClose,
  decodeErrorBody,
  decodeHeartbeat,
  decodeReconnectRequest,
  decodeReconnectResponse,
  encodeAuthRequest,
  encodeAuthResponse,
  encodeClose,
  encodeErrorBody,
  encodeReconnectRequest,
  encodeReconnectResponse,
} from "./control.ts";
import { encodeHeartbeat } from "./heartbeat.ts";

/** Plain values of one message, from the fields of a row and back to bytes. */
interface Codec {
  readonly values: (fields: Readonly<Record<string, unknown>>) => object;
  readonly decode: (bytes: Uint8Array) => object;
  /** Takes what decode gave, so the types of the two are the same. */
  readonly encodeAgain: (bytes: Uint8Array) => Uint8Array;
}

const loginRow = (fields: Readonly<Record<string, unknown>>) => ({
  sessionId: fields["session_id"],
  expiresAtMs: Number(fields["expires"]),
  limit: fields["limit"],
  online: fields["online"],
});

const codecs: Readonly<Record<string, Codec>> = {
  Close: {
    values: (fields) => fields,
    decode: decodeClose,
    encodeAgain: (bytes) => {
      const { code, reason } = decodeClose(bytes);
      return encodeClose(code, reason);
    },
  },
  Heartbeat: {
    values: (fields) => ({
      timestampMs: Number(fields["timestamp"] ?? 0),
      id: fields["heartbeat_id"] ?? null,
    }),
    decode: decodeHeartbeat,
    encodeAgain: (bytes) => {
      const { timestampMs, id } = decodeHeartbeat(bytes);
      return encodeHeartbeat(timestampMs, id);
    },
  },
  AuthRequest: {
    values: (fields) => fields,
    decode: decodeAuthRequest,
    encodeAgain: (bytes) => encodeAuthRequest(decodeAuthRequest(bytes)),
  },
  AuthResponse: {
    values: loginRow,
    decode: decodeAuthResponse,
    encodeAgain: (bytes) => encodeAuthResponse(decodeAuthResponse(bytes)),
  },
  ReconnectRequest: {
    values: (fields) => ({ sessionId: fields["session_id"], metadata: fields["metadata"] }),
    decode: decodeReconnectRequest,
    encodeAgain: (bytes) => encodeReconnectRequest(decodeReconnectRequest(bytes)),
  },
  ReconnectResponse: {
    values: loginRow,
    decode: decodeReconnectResponse,
    encodeAgain: (bytes) => encodeReconnectResponse(decodeReconnectResponse(bytes)),
  },
  Error: {
    values: (fields) => ({ code: Number(fields["code"]), message: fields["msg"] }),
    decode: decodeErrorBody,
    encodeAgain: (bytes) => {
      const { code, message } = decodeErrorBody(bytes);
      return encodeErrorBody(code, message);
    },
  },
};

/** The one row that we refuse to produce: its code is above 2^53. [appendix A] */
const unproducible = "Error large code";

for (const row of controlRows) {
  const codec = codecs[row.message]!; // every message of the vectors has one, or the test fails

  describe(`vectors of ${row.message}`, () => {
    test(`${row.name} is read`, () => {
      expect(codec.decode(fromHex(row.hex))).toEqual(codec.values(row.fields));
    });

    if (row.name !== unproducible) {
      test(`${row.name} is written byte for byte`, () => {
        expect(toHex(codec.encodeAgain(fromHex(row.hex)))).toBe(row.hex);
      });
    }

    test(`${row.name} is read with a field that is not known`, () => {
      const bytes = fromHex(`${row.hex}f00601`); // field 110, varint 1

      expect(codec.decode(bytes)).toEqual(codec.values(row.fields));
    });
  });
}

describe("ControlBodyError", () => {
  test("body that is no protobuf raises it for every message", () => {
    for (const { decode } of Object.values(codecs)) {
      for (const hex of ["ff", "08", "0a", "07", "0c", "0f"]) {
        expect(() => decode(fromHex(hex))).toThrow(ControlBodyError);
      }
    }
  });

  test("token that is not UTF-8 raises it", () => {
    expect(() => decodeAuthRequest(fromHex("0a01ff"))).toThrow(ControlBodyError);
  });

  test("expiry that is no safe integer raises it", () => {
    expect(() => decodeAuthResponse(fromHex("10ffffffffffffffff7f"))).toThrow(ControlBodyError);
  });
});

describe("encodeErrorBody", () => {
  test("code up to 2^53 - 1 is written, and what is no such number is refused", () => {
    const largest = Number.MAX_SAFE_INTEGER;

    expect(decodeErrorBody(encodeErrorBody(largest, "")).code).toBe(largest);
    for (const code of [largest + 1, -1, 0.5, Number.NaN]) {
      expect(() => encodeErrorBody(code, "")).toThrow(RangeError);
    }
  });
});

describe("metadata of a login [§7.6]", () => {
  const entries = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`key-${index}`, ""]));

  test("64 entries are accepted, and 65 are not", () => {
    const inside = encodeAuthRequest({ token: "otp", metadata: entries(64) });
    const outside = encodeAuthRequest({ token: "otp", metadata: entries(65) });

    expect(Object.keys(decodeAuthRequest(inside).metadata).length).toBe(64);
    expect(() => decodeAuthRequest(outside)).toThrow(ControlBodyError);
  });

  test("8 KiB of keys and values are accepted, and a byte more is not", () => {
    const inside = { sessionId: "s", metadata: { key: "é".repeat(4094), a: "" } }; // 3 + 8188 + 1
    const outside = { sessionId: "s", metadata: { key: "é".repeat(4094), ab: "" } };

    expect(decodeReconnectRequest(encodeReconnectRequest(inside))).toEqual(inside);
    expect(() => decodeReconnectRequest(encodeReconnectRequest(outside))).toThrow(ControlBodyError);
  });
});
