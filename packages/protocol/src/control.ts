/**
 * Bodies of the control commands, and of errors, to plain values and back: what the messages mean,
 * [§7] and [§6]. How they are written is in control-messages.ts. Every decoder throws
 * ControlBodyError. Heartbeats are written in heartbeat.ts, by hand.
 */

import { type ControlMessages, readMessage, writeMessage } from "#control-messages";
import type { CloseHints } from "./close.ts";

/** A control body that is not what it should be: no unpack error, but status 3, code 400. [D13] */
export class ControlBodyError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ControlBodyError";
  }
}

export interface CloseBody {
  /** Usually a CloseCode; numbers that are not known are kept. */
  readonly code: number;
  readonly reason: string;
  /** Not there if the server said nothing of the kind. */
  readonly hints?: CloseHints;
}

export interface HeartbeatBody {
  /** Milliseconds since 1970. */
  readonly timestampMs: number;
  /** Null if it was not set, which differs from 0. */
  readonly id: number | null;
}

/** Of an Auth or a Reconnect; kept with the session. Not the metadata of a packet. [§7.6] */
export type LoginMetadata = Readonly<Record<string, string>>;

export interface AuthRequestBody {
  readonly token: string;
  readonly metadata: LoginMetadata;
}

export interface ReconnectRequestBody {
  readonly sessionId: string;
  readonly metadata: LoginMetadata;
}

/** What answers an Auth, and a Reconnect: they have the same layout. [§7.5] */
export interface AuthResponseBody {
  readonly sessionId: string;
  /** Absolute, milliseconds since 1970. [D22] */
  readonly expiresAtMs: number;
  readonly limit: number;
  readonly online: number;
}
export type ReconnectResponseBody = AuthResponseBody;

export interface ErrorBody {
  /** A code above 2^53 - 1 comes as the nearest number there is. */
  readonly code: number;
  readonly message: string;
  /** Our extension, as in CloseHints. Not there if the server said nothing of the kind. */
  readonly retryAfterMs?: number;
}

/** Bounds of the metadata of a login; the bytes are those of its keys and values. [§7.6] */
const loginEntriesMax = 64;
const loginBytesMax = 8 * 1024;

const utf8 = new TextEncoder();

/** Throws if `retryAfterMs` is no 32 bit unsigned integer. */
export function encodeClose(code: number, reason: string, hints: CloseHints = {}): Uint8Array {
  return writeMessage("Close", { code, reason, ...hints });
}

/** An empty body is HeartbeatTimeout without a reason. [§7.1] */
export function decodeClose(bytes: Uint8Array): CloseBody {
  const { code, reason, retryAfterMs, reconnect } = read("Close", bytes);
  if (retryAfterMs === undefined && reconnect === undefined) return { code, reason };
  const hints = {
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(reconnect === undefined ? {} : { reconnect }),
  };
  return { code, reason, hints };
}

/** Of our own heartbeats only: those of a peer may be any bytes, and are echoed unread. */
export function decodeHeartbeat(bytes: Uint8Array): HeartbeatBody {
  const { timestamp, heartbeatId } = read("Heartbeat", bytes);
  return { timestampMs: toSafeNumber("timestamp", timestamp), id: heartbeatId ?? null };
}

export function encodeAuthRequest(body: AuthRequestBody): Uint8Array {
  return writeMessage("AuthRequest", body);
}

/** The token may be empty: whether that will do is up to the caller. [§7.3] */
export function decodeAuthRequest(bytes: Uint8Array): AuthRequestBody {
  const { token, metadata } = read("AuthRequest", bytes);
  return { token, metadata: checkLoginMetadata(metadata) };
}

export function encodeAuthResponse(body: AuthResponseBody): Uint8Array {
  return writeMessage("AuthResponse", toLoginFields(body));
}

export function decodeAuthResponse(bytes: Uint8Array): AuthResponseBody {
  return fromLoginFields(read("AuthResponse", bytes));
}

export function encodeReconnectRequest(body: ReconnectRequestBody): Uint8Array {
  return writeMessage("ReconnectRequest", body);
}

/** The session id may be empty: whether that will do is up to the caller. [§7.4] */
export function decodeReconnectRequest(bytes: Uint8Array): ReconnectRequestBody {
  const { sessionId, metadata } = read("ReconnectRequest", bytes);
  return { sessionId, metadata: checkLoginMetadata(metadata) };
}

export function encodeReconnectResponse(body: ReconnectResponseBody): Uint8Array {
  return writeMessage("ReconnectResponse", toLoginFields(body));
}

export function decodeReconnectResponse(bytes: Uint8Array): ReconnectResponseBody {
  return fromLoginFields(read("ReconnectResponse", bytes));
}

/**
 * Throws RangeError if the code is not a whole number that is safe to count with, and an Error if
 * `retryAfterMs` is no 32 bit unsigned integer.
 */
export function encodeErrorBody(code: number, message: string, retryAfterMs?: number): Uint8Array {
  if (!Number.isSafeInteger(code) || code < 0) {
    throw new RangeError(`Cannot encode error code ${code}: it is no safe unsigned integer`);
  }
  const hint = retryAfterMs === undefined ? {} : { retryAfterMs };
  return writeMessage("Error", { code: BigInt(code), msg: message, ...hint });
}

/** An empty body is code 0 and no text. [§6] */
export function decodeErrorBody(bytes: Uint8Array): ErrorBody {
  const { code, msg, retryAfterMs } = read("Error", bytes);
  const hint = retryAfterMs === undefined ? {} : { retryAfterMs };
  return { code: Number(code), message: msg, ...hint };
}

function read<Name extends keyof ControlMessages>(
  name: Name,
  bytes: Uint8Array,
): ControlMessages[Name] {
  try {
    return readMessage(name, bytes);
  } catch (cause) {
    throw new ControlBodyError(`Cannot read ${name} of ${bytes.length} bytes`, { cause });
  }
}

function toLoginFields(body: AuthResponseBody) {
  const { sessionId, expiresAtMs, limit, online } = body;
  return { sessionId, expires: BigInt(expiresAtMs), limit, online };
}

function fromLoginFields(fields: {
  readonly sessionId: string;
  readonly expires: bigint;
  readonly limit: number;
  readonly online: number;
}): AuthResponseBody {
  const { sessionId, expires, limit, online } = fields;
  return { sessionId, expiresAtMs: toSafeNumber("expires", expires), limit, online };
}

function toSafeNumber(name: string, value: bigint): number {
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  throw new ControlBodyError(`Cannot read ${name} ${value}: it is not a safe integer`);
}

function checkLoginMetadata(metadata: LoginMetadata): LoginMetadata {
  const entries = Object.entries(metadata);
  const bytes = entries.reduce(
    (sum, [key, value]) => sum + utf8.encode(key).length + utf8.encode(value).length,
    0,
  );
  if (entries.length > loginEntriesMax || bytes > loginBytesMax) {
    throw new ControlBodyError(
      `Cannot accept metadata of ${entries.length} entries and ${bytes} bytes: ` +
        `limits are ${loginEntriesMax} and ${loginBytesMax}`,
    );
  }
  return metadata;
}
