/** What a request on the WebSocket port gets: an upgrade, or a refusal. [§4.2] [§4.3] */
import { createHash } from "node:crypto";
import { decodeQueryHandshake, type Handshake, ProtocolError } from "@holdfast/protocol";
import type { Refusal } from "./transport.ts";
import type { HeadFault, RequestHead } from "./ws-request.ts";

export interface Accepted {
  readonly handshake: Handshake;
  /** Cut to 64 characters. */
  readonly userAgent: string;
  /** The answer to Sec-WebSocket-Key. */
  readonly accept: string;
}

/** An answer after which the socket ends. */
export interface Declined {
  readonly status: number;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** As it is counted. */
  readonly reason: Refusal["reason"] | "handshake" | "origin";
}

export interface UpgradeRules {
  readonly paths: readonly string[]; // [D01]
  /** Of web pages that may connect, as browsers write them; empty: all. */
  readonly origins: readonly string[];
}

const acceptSuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455, section 1.3
const statusTexts: Readonly<Record<number, string>> = {
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  426: "Upgrade Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
  505: "HTTP Version Not Supported",
};

/** `gate` is asked once, and only for what may become an upgrade: why it is not let in just now. */
export function judgeUpgrade(
  { method, target, headers }: RequestHead,
  { paths, origins }: UpgradeRules,
  gate: () => Refusal | null,
): Accepted | Declined {
  if (method !== "GET") return wrong(405, "only GET", { Allow: "GET" });
  const url = urlOf(target, headers.get("host") ?? "");
  if (url === null || hasBody(headers)) return wrong(400, "bad request");
  if (!paths.includes(url.pathname)) return wrong(404, "not found");
  // Only browsers say where a page is from, and none lies about it: RFC 6455, section 10.2.
  const origin = headers.get("origin");
  if (origin !== undefined && origins.length > 0 && !origins.includes(origin)) return foreign;
  const refusal = gate();
  if (refusal !== null) return refused(refusal);
  let handshake: Handshake;
  try {
    handshake = decodeQueryHandshake(url.searchParams);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return wrong(400, error.fault); // [D05]
  }
  const isUpgrade = hasToken(headers.get("upgrade"), "websocket");
  if (!isUpgrade || !hasToken(headers.get("connection"), "upgrade")) return upgradeRequired();
  if (headers.get("sec-websocket-version") !== "13") return upgradeRequired();
  const key = headers.get("sec-websocket-key") ?? "";
  // 16 bytes in base64.
  if (!/^[A-Za-z0-9+/]{22}==$/.test(key)) return wrong(400, "bad Sec-WebSocket-Key");
  const accept = createHash("sha1").update(`${key}${acceptSuffix}`).digest("base64");
  return { handshake, accept, userAgent: ownText((headers.get("user-agent") ?? "").slice(0, 64)) };
}

export function headRefused(status: HeadFault): Declined {
  return wrong(status, status === 431 ? "too large" : "bad request");
}

export function refused({ reason, status, retryAfterSeconds }: Refusal): Declined {
  const headers = { "Retry-After": String(retryAfterSeconds) };
  const text = status === 429 ? "too many requests" : "service unavailable";
  return { status, text, headers, reason };
}

/** No subprotocol and no extension, whatever was offered. */
export function encodeAccepted({ accept }: Accepted): Uint8Array {
  return Buffer.from(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
    "latin1",
  );
}

export function encodeDeclined({ status, text, headers = {} }: Declined): Uint8Array {
  const lines = [
    `HTTP/1.1 ${status} ${statusTexts[status] ?? ""}`,
    "Content-Type: text/plain;charset=utf-8",
    `Content-Length: ${text.length}`, // all of it is ASCII
    `Date: ${new Date().toUTCString()}`,
    "Connection: close",
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n${text}`, "latin1");
}

const foreign: Declined = { status: 403, text: "origin not allowed", reason: "origin" };

function wrong(status: number, text: string, headers: Declined["headers"] = {}): Declined {
  return { status, text, headers, reason: "handshake" };
}

function upgradeRequired(): Declined {
  const headers = { Upgrade: "websocket", "Sec-WebSocket-Version": "13" };
  return wrong(426, "websocket upgrade expected", headers);
}

/** A part of a text keeps the whole of it alive, here for as long as the connection lives. */
function ownText(part: string): string {
  return Buffer.from(part, "latin1").toString("latin1");
}

/** Null: the target or the Host header is none. A whole address in the target will do. */
function urlOf(target: string, host: string): URL | null {
  if (!/^(\[[\da-f:.]+\]|[\w.~!$&'()*+,;=%-]+)(:\d*)?$/i.test(host)) return null;
  const address = target.startsWith("/") ? `http://${host}${target}` : target;
  const url = URL.parse(address);
  return url !== null && /^(https?|wss?):$/.test(url.protocol) ? url : null;
}

function hasBody(headers: ReadonlyMap<string, string>): boolean {
  return headers.has("transfer-encoding") || (headers.get("content-length") ?? "0") !== "0";
}

function hasToken(list: string | undefined, token: string): boolean {
  return (list ?? "").split(",").some((item) => item.trim().toLowerCase() === token);
}
