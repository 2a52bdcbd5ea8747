/** The table of gateway errors against the wire document. [D14] */

import { describe, expect, test } from "bun:test";
import { decodeErrorBody } from "./control.ts";
import { gatewayErrors, withRetryAfter } from "./error.ts";

describe("gatewayErrors", () => {
  test("errors have the status, code and text of the wire document", () => {
    const rows = Object.values(gatewayErrors).map(
      ({ status, code, message }) => `${status} ${code} ${message}`,
    );

    expect(rows).toEqual([
      "3 400 invalid request body",
      "3 404 unknown command",
      "3 409 already authenticated",
      "3 413 request too large",
      "3 429 request rate limit",
      "5 401 unauthenticated",
      "5 401 token invalid",
      "5 401 session expired",
      "6 403 connections limitation is hit",
      "6 403 flapping",
      "6 403 permission denied",
      "1 408 server timeout",
      "7 500 internal error",
      "7 503 service unavailable",
    ]);
  });

  test("errors have a body that says the same", () => {
    for (const { code, message, body } of Object.values(gatewayErrors)) {
      expect(decodeErrorBody(body)).toStrictEqual({ code, message });
    }
  });

  test("an error may say when another attempt is worth it, and others do not", () => {
    const said = withRetryAfter(gatewayErrors.rateLimit, 1500);

    expect({ ...said, body: null }).toEqual({ ...gatewayErrors.rateLimit, body: null });
    expect(decodeErrorBody(said.body)).toEqual({
      ...{ code: 429, message: "request rate limit", retryAfterMs: 1500 },
    });
    expect(() => withRetryAfter(gatewayErrors.rateLimit, -1)).toThrow();
  });
});
