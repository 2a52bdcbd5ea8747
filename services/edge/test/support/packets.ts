/** What clients say and hear, as a test writes it: short, and with the wire's own words. */
import { expect } from "bun:test";
import type { Wire } from "@holdfast/client/wire";
import {
  type AuthResponseBody,
  Command,
  decodeAuthResponse,
  decodeErrorBody,
  encodeAuthRequest,
  encodePush,
  encodeReconnectRequest,
  encodeRequest,
  encodeResponse,
  type GatewayErrorName,
  gatewayErrors,
  type Packet,
  type Response,
} from "@holdfast/protocol";
import type { TestEdge, TransportName } from "./edge.ts";

export const nothing = new Uint8Array(0);

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function fromHex(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, "hex"));
}

/** Bytes that no compression makes smaller, the same for the same seed. */
export function noise(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed >>> 0 || 1;
  for (let index = 0; index < length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[index] = state & 0xff;
  }
  return bytes;
}

/** Of version 1. */
export function request(
  command: number,
  id: number,
  body: Uint8Array = nothing,
  timeoutMs = 0,
): Uint8Array {
  return encodeRequest(1, command, id, timeoutMs, body);
}

export function response(command: number, id: number, body: Uint8Array = nothing): Uint8Array {
  return encodeResponse(1, command, id, 0, body);
}

export function push(command: number, body: Uint8Array = nothing): Uint8Array {
  return encodePush(1, command, body);
}

export function authBody(token: string, metadata: Record<string, string> = {}): Uint8Array {
  return encodeAuthRequest({ token, metadata });
}

export function reconnectBody(sessionId: string, metadata: Record<string, string> = {}) {
  return encodeReconnectRequest({ sessionId, metadata });
}

/** Together: in one segment on TCP, as single messages on WebSocket. */
export function sendAll(wire: Wire, transport: TransportName, packets: readonly Uint8Array[]) {
  if (transport === "tcp") wire.sendBytes(Buffer.concat(packets));
  else for (const packet of packets) wire.sendBytes(packet);
}

/** Well formed, and known to nobody: as far as a store has to look. */
export const anyToken = `${"t".repeat(22)}.${"s".repeat(43)}`;
export const anySessionId = `${"t".repeat(22)}.${"i".repeat(16)}.${"s".repeat(43)}`;

export async function auth(wire: Wire, token: string): Promise<Response> {
  return wire.request(Command.auth, authBody(token));
}

export async function reconnect(wire: Wire, sessionId: string): Promise<Response> {
  return wire.request(Command.reconnect, reconnectBody(sessionId));
}

export function accepted(answer: Response): AuthResponseBody {
  expect(answer.status).toBe(0);
  return decodeAuthResponse(answer.body);
}

let accounts = 0;

/** A connection that is open, of an account of its own if none is named. */
export async function openSession(
  edge: TestEdge,
  transport: TransportName,
  account = `account-${++accounts}`,
  rules: Parameters<TestEdge["issueToken"]>[1] = {},
): Promise<{ wire: Wire; session: AuthResponseBody }> {
  const wire = await edge.open(transport);
  const session = accepted(await auth(wire, await edge.issueToken(account, rules)));
  return { wire, session };
}

export function expectError(answer: Packet, name: GatewayErrorName): void {
  const { status, code, message } = gatewayErrors[name];
  const { retryAfterMs: _, ...body } = decodeErrorBody(answer.body);
  const got = { type: answer.type, status: "status" in answer ? answer.status : null, ...body };
  expect(got).toEqual({ type: "response", status, code, message });
}

/** Sends a heartbeat and waits for its echo: all that was sent before has been handled. */
export async function settle(wire: Wire): Promise<void> {
  const echoed = await wire.request(Command.heartbeat, bytesOf("settle"));
  expect(Buffer.from(echoed.body).toString()).toBe("settle");
}

/** The connection is ended with this Close, in the order and with the frame of section 10. */
export async function expectClose(
  wire: Wire,
  transport: TransportName,
  code: number,
  reason: string,
  deadlineMs?: number,
): Promise<void> {
  const ended = await wire.waitClosed(deadlineMs);
  expect(ended).toEqual({
    closePush: { code, reason },
    wsCode: transport === "ws" ? 4000 + code : null,
    wsReason: transport === "ws" ? reason : "",
    bytesAfterClose: 0,
    how: "fin",
  });
}

/** The connection is ended, and nothing is said. */
export async function expectSilentEnd(wire: Wire, deadlineMs?: number): Promise<void> {
  const ended = await wire.waitClosed(deadlineMs);
  const { closePush, wsCode, how } = ended;
  expect({ closePush, wsCode, how }).toEqual({ closePush: null, wsCode: null, how: "fin" });
}
