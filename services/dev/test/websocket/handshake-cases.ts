/**
 * Upgrades, good, wrong and hostile: RFC 6455 section 4 and what HTTP/1.1 lets a server refuse.
 * Their ids begin with an H; 12 and 13 are Autobahn's sections about compression, which is offered
 * and not taken. [§4.2]
 */
import type { Cut } from "./bare-socket.ts";
import { heartbeat, message } from "./frames.ts";

/** "open": upgraded, and it answers a packet. "refused": another status, or the end without one. */
export type HandshakeOutcome = "open" | "refused";

export interface HandshakeCase {
  readonly id: string;
  readonly what: string;
  readonly request: Uint8Array;
  readonly cut?: Cut;
  readonly expects: HandshakeOutcome;
  /** The only status it may be refused with; otherwise any from 400 on, save 500, or none. */
  readonly status?: number;
  /** What RFC 6455 wants is `expects`, but a server that does otherwise harms nobody. */
  readonly tolerated?: HandshakeOutcome;
}

const path = "/v2?version=1&codec=1&platform=9";
const key = "dGhlIHNhbXBsZSBub25jZQ=="; // that of the RFC
export const acceptOfKey = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const usual: Readonly<Record<string, string>> = {
  Host: "127.0.0.1",
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Key": key,
  "Sec-WebSocket-Version": "13",
};

interface Changes {
  readonly line?: string;
  /** Null leaves a header out. */
  readonly headers?: Readonly<Record<string, string | null>>;
  /** As they are, behind the others. */
  readonly more?: readonly string[];
  readonly body?: Uint8Array | string;
}

function write(changes: Changes = {}): Uint8Array {
  const headers = Object.entries({ ...usual, ...changes.headers })
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}: ${value}`);
  const lines = [changes.line ?? `GET ${path} HTTP/1.1`, ...headers, ...(changes.more ?? [])];
  const head = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  const { body = "" } = changes;
  return Buffer.concat([head, typeof body === "string" ? Buffer.from(body, "latin1") : body]);
}

/** A good one. */
export const upgradeRequest = write();

function good(id: string, what: string, changes: Changes = {}, cut?: Cut): HandshakeCase {
  const octets = cut === undefined ? {} : { cut };
  return { id, what, request: write(changes), ...octets, expects: "open" };
}

function bad(id: string, what: string, changes: Changes, status?: number): HandshakeCase {
  const only = status === undefined ? {} : { status };
  return { id, what, request: write(changes), ...only, expects: "refused" };
}

/** RFC 6455 would have it refused; taking it gives its sender nothing it could not have anyway. */
function lax(one: HandshakeCase): HandshakeCase {
  return { ...one, tolerated: one.expects === "open" ? "refused" : "open" };
}

const deflate = (rest: string) => ({ "Sec-WebSocket-Extensions": `permessage-deflate${rest}` });

const accepted: readonly HandshakeCase[] = [
  good("H1.1", "an upgrade"),
  good("H1.2", "an upgrade, octet by octet", {}, 1),
  good("H1.3", "names of headers in small letters", {
    headers: { ...Object.fromEntries(Object.keys(usual).map((name) => [name, null])) },
    more: Object.entries(usual).map(([name, value]) => `${name.toLowerCase()}: ${value}`),
  }),
  good("H1.4", "Connection: keep-alive, Upgrade", {
    headers: { Connection: "keep-alive, Upgrade", Upgrade: "WebSocket" },
  }),
  good("H1.5", "a packet in the segment of the upgrade", { body: message(heartbeat(77)) }),
  good("H1.6", "an Origin, as a browser has one", { headers: { Origin: "https://example.com" } }),
  good("H1.7", "subprotocols offered, of which none is taken", {
    headers: { "Sec-WebSocket-Protocol": "chat, superchat" },
  }),
  good("H1.8", "an empty path with the query", { line: `GET /${path.slice(3)} HTTP/1.1` }),
  good("12.1", "compression offered", { headers: deflate("") }),
  good("13.1", "compression offered with parameters", {
    headers: deflate("; client_max_window_bits; server_no_context_takeover"),
  }),
  good("13.2", "an extension of no name", { headers: { "Sec-WebSocket-Extensions": "x-a; b=1" } }),
];

const wrong: readonly HandshakeCase[] = [
  bad("H2.1", "no key", { headers: { "Sec-WebSocket-Key": null } }),
  bad("H2.2", "an empty key", { headers: { "Sec-WebSocket-Key": "" } }),
  lax(bad("H2.3", "a key of 5 characters", { headers: { "Sec-WebSocket-Key": "short" } })),
  lax(
    bad("H2.4", "a key that is no base64", {
      headers: { "Sec-WebSocket-Key": "!!!!!!!!!!!!!!!!!!!!!!==" },
    }),
  ),
  lax(bad("H2.5", "two keys", { more: [`Sec-WebSocket-Key: ${key}`] })),
  ...[null, "0", "8", "14", "13, 8"].map((version, index) =>
    lax(
      bad(`H2.${6 + index}`, `version ${version ?? "not said"}`, {
        headers: { "Sec-WebSocket-Version": version },
      }),
    ),
  ),
  bad("H2.11", "no Upgrade", { headers: { Upgrade: null } }),
  bad("H2.12", "Upgrade: h2c", { headers: { Upgrade: "h2c" } }),
  lax(bad("H2.13", "no Connection", { headers: { Connection: null } })),
  lax(bad("H2.14", "Connection: close", { headers: { Connection: "close" } })),
  bad("H2.15", "POST", { line: `POST ${path} HTTP/1.1` }),
  bad("H2.16", "HEAD", { line: `HEAD ${path} HTTP/1.1` }),
  lax(bad("H2.17", "HTTP/1.0", { line: `GET ${path} HTTP/1.0` })),
  bad("H2.18", "HTTP/2.0", { line: `GET ${path} HTTP/2.0` }),
  lax(bad("H2.19", "no Host", { headers: { Host: null } })),
  lax(bad("H2.20", "two Hosts", { more: ["Host: example.com"] })),
  bad("H2.21", "another path", { line: `GET /other${path.slice(3)} HTTP/1.1` }, 404),
  bad("H2.22", "no query", { line: "GET /v2 HTTP/1.1" }, 400),
  bad("H2.23", "version 3 in the query", { line: `GET ${path.replace("1", "3")} HTTP/1.1` }, 400),
  bad("H2.24", "zeros in the query", { line: `GET ${path.replace("=1", "=%00")} HTTP/1.1` }, 400),
];

const hostile: readonly HandshakeCase[] = [
  lax(bad("H3.1", "a body by Content-Length", { more: ["Content-Length: 5"], body: "hello" })),
  bad("H3.2", "a body by both lengths", {
    more: ["Content-Length: 5", "Transfer-Encoding: chunked"],
    body: "0\r\n\r\n",
  }),
  bad("H3.3", "two lengths that differ", {
    more: ["Content-Length: 5", "Content-Length: 6"],
    body: "hello!",
  }),
  bad("H3.4", "a negative length", { more: ["Content-Length: -1"] }),
  bad("H3.5", "an encoding of no name", { more: ["Transfer-Encoding: xchunked"], body: "5" }),
  bad("H3.6", "a header of 64 KiB", { more: [`X-Large: ${"a".repeat(65_536)}`] }),
  bad("H3.7", "10,000 headers", { more: Array.from({ length: 10_000 }, () => "X-Many: a") }),
  bad("H3.8", "a path of 64 KiB", { line: `GET /${"a".repeat(65_536)} HTTP/1.1` }),
  lax(bad("H3.9", "a zero in a header", { more: ["X-Zero: a\x00b"] })),
  lax(bad("H3.10", "a header without a colon", { more: ["X-None"] })),
  lax(bad("H3.11", "a blank before the colon", { more: ["X-Blank : a"] })),
  lax(bad("H3.12", "a header over two lines", { more: ["X-Fold: a", " b"] })),
  lax(bad("H3.13", "a zero in the path", { line: `GET /v2\x00${path.slice(3)} HTTP/1.1` })),
  bad("H3.14", "no version of HTTP", { line: `GET ${path}` }),
  lax(good("H3.15", "a whole address in the first line", { line: `GET ws://a${path} HTTP/1.1` })),
  lax({
    ...bad("H3.16", "lines that end without a return", {}),
    request: Buffer.from(write().toString().replaceAll("\r\n", "\n")),
  }),
  bad("H3.17", "a ClientHello of TLS", {
    line: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
  }),
  bad("H3.18", "a PROXY header", {
    line: `PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET ${path} HTTP/1.1`,
  }),
];

export const handshakeCases: readonly HandshakeCase[] = [...accepted, ...wrong, ...hostile];
