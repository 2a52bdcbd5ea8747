/**
 * One table: every error that the gateway itself answers a request with. [D14]
 * Upstreams have codes of their own.
 */

import { encodeErrorBody } from "./control.ts";
import { Status } from "./packet.ts";

export interface GatewayError {
  /** Of the response. */
  readonly status: number;
  readonly code: number;
  readonly message: string;
  /** Code and message as the body of the response. Shared: nobody may change it. */
  readonly body: Uint8Array;
}

function error(status: number, code: number, message: string): GatewayError {
  return { status, code, message, body: encodeErrorBody(code, message) };
}

export const gatewayErrors = {
  // What the client asked for is wrong, or too much.
  invalidBody: error(Status.badRequest, 400, "invalid request body"),
  unknownCommand: error(Status.badRequest, 404, "unknown command"),
  alreadyAuthenticated: error(Status.badRequest, 409, "already authenticated"),
  requestTooLarge: error(Status.badRequest, 413, "request too large"),
  rateLimit: error(Status.badRequest, 429, "request rate limit"),
  // Who the client is.
  unauthenticated: error(Status.unauthenticated, 401, "unauthenticated"),
  tokenInvalid: error(Status.unauthenticated, 401, "token invalid"),
  sessionExpired: error(Status.unauthenticated, 401, "session expired"),
  // What it may do.
  connectionLimit: error(Status.permissionDenied, 403, "connections limitation is hit"),
  flapping: error(Status.permissionDenied, 403, "flapping"),
  permissionDenied: error(Status.permissionDenied, 403, "permission denied"),
  // Our own side.
  serverTimeout: error(Status.serverTimeout, 408, "server timeout"),
  internalError: error(Status.internalError, 500, "internal error"),
  serviceUnavailable: error(Status.internalError, 503, "service unavailable"),
} as const satisfies Record<string, GatewayError>;

/** The same error, and after how long it might be worth another attempt. */
export function withRetryAfter(said: GatewayError, retryAfterMs: number): GatewayError {
  return { ...said, body: encodeErrorBody(said.code, said.message, retryAfterMs) };
}

export type GatewayErrorName = keyof typeof gatewayErrors;
