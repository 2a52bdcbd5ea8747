import { describe, expect, test } from "bun:test";
import { type Declined, encodeDeclined, judgeUpgrade } from "./ws-upgrade.ts";

const target = "/v2?version=1&codec=1&platform=9";
const good = {
  host: "edge.example:9001",
  upgrade: "websocket",
  connection: "Upgrade",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  "sec-websocket-version": "13",
};

interface Asked {
  readonly method?: string;
  readonly target?: string;
  readonly headers?: Readonly<Record<string, string | undefined>>;
}

function judge(asked: Asked = {}, origins: readonly string[] = []) {
  const { headers = {}, ...line } = asked;
  const given = Object.entries({ ...good, ...headers }).filter(([, value]) => value !== undefined);
  const head = { method: "GET", target, ...line, headers: new Map(given as [string, string][]) };
  return judgeUpgrade(head, { paths: ["/", "/v2"], origins }, () => null);
}

describe("upgrades", () => {
  test("a good one is granted, with the answer of RFC 6455 to its key", () => {
    const agent = "a".repeat(100);

    expect(judge({ headers: { "user-agent": agent } })).toEqual({
      accept: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
      handshake: { version: 1, codec: 1, platform: 9 },
      userAgent: "a".repeat(64),
    });
  });

  test.each<Asked>([
    { target: "/?version=2&codec=1&platform=0" },
    { target: "ws://other.example/v2?version=1&codec=1&platform=9" },
    { headers: { connection: "keep-alive, UPGRADE", upgrade: "h2c , WebSocket" } },
    { headers: { "content-length": "0" } },
    { headers: { host: "[::1]:9001" } },
    { headers: { host: "127.0.0.1" } },
    { headers: { "sec-websocket-protocol": "a", "sec-websocket-extensions": "b" } },
  ])("%p is granted, too", (asked) => {
    expect(judge(asked)).toHaveProperty("accept");
  });

  test.each<readonly [number, Asked]>([
    [405, { method: "POST" }],
    [405, { method: "HEAD" }],
    [400, { headers: { host: undefined } }],
    ...["", "[:::", "a b c", "%%%", "x:99999", "x/v2", "a@b", "a,b:1:2"].map(
      (host): readonly [number, Asked] => [400, { headers: { host } }],
    ),
    [400, { target: "*" }],
    [400, { target: "ftp://a/v2" }],
    [400, { headers: { "content-length": "5" } }],
    [400, { headers: { "content-length": "-1" } }],
    [400, { headers: { "transfer-encoding": "chunked" } }],
    [404, { target: "/v2/?version=1&codec=1&platform=9" }],
    [404, { target: "//v2?version=1&codec=1&platform=9" }],
    [400, { target: "/v2?version=3&codec=1&platform=9" }],
    [426, { headers: { upgrade: undefined } }],
    [426, { headers: { upgrade: "websockets" } }],
    [426, { headers: { connection: undefined } }],
    [426, { headers: { connection: "close" } }],
    [426, { headers: { "sec-websocket-version": undefined } }],
    [426, { headers: { "sec-websocket-version": "8" } }],
    [426, { headers: { "sec-websocket-version": "13, 8" } }],
    [400, { headers: { "sec-websocket-key": undefined } }],
    [400, { headers: { "sec-websocket-key": "c2hvcnQ=" } }],
    [400, { headers: { "sec-websocket-key": "a".repeat(24) } }],
    [400, { headers: { "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==A" } }],
  ])("%d is the answer to %p", (status, asked) => {
    expect(judge(asked)).toMatchObject({ status, reason: "handshake" });
  });

  test.each([
    "https://app.example",
    "https://app.example:8443",
    "http://[::1]:3000",
    undefined, // no browser
  ])("a page of origin %p is let in by the list", (origin) => {
    const listed = ["https://app.example", "https://app.example:8443", "http://[::1]:3000"];

    expect(judge({ headers: { origin } }, listed)).toHaveProperty("accept");
  });

  test.each([
    "http://app.example",
    "https://app.example.",
    "https://app.example:443",
    "https://app.example:444",
    "https://app.example/",
    "https://APP.example",
    "HTTPS://app.example",
    "https://app.example.evil.example",
    "https://evil-app.example",
    "https://evilapp.example",
    "https://www.app.example",
    "https://app.example@evil.example",
    "https://app.example, https://evil.example",
    "https://evil.example https://app.example",
    "https://app.example#",
    "https://app.exampl\u00e9",
    "wss://app.example",
    "file://",
    "null",
    "*",
    "",
  ])("a page of origin %p gets 403", (origin) => {
    const told = judge({ headers: { origin } }, ["https://app.example"]);

    expect(told).toMatchObject({ status: 403, reason: "origin" });
  });

  test("whoever comes is let in where no origins are listed", () => {
    expect(judge({ headers: { origin: "https://anywhere.example" } })).toHaveProperty("accept");
  });

  test("426 says which version would do, 405 which method, 503 when to come back", () => {
    const refusal = { reason: "limit", status: 503, retryAfterSeconds: 7 } as const;
    const head = { method: "GET", target, headers: new Map(Object.entries(good)) };

    expect(judge({ headers: { "sec-websocket-version": "8" } })).toMatchObject({
      headers: { "Sec-WebSocket-Version": "13", Upgrade: "websocket" },
    });
    expect(judge({ method: "PUT" })).toMatchObject({ headers: { Allow: "GET" } });
    expect(judgeUpgrade(head, { paths: ["/v2"], origins: [] }, () => refusal)).toMatchObject({
      ...{ status: 503, reason: "limit", headers: { "Retry-After": "7" } },
    });
    expect(
      judgeUpgrade(head, { paths: ["/v2"], origins: [] }, () => ({ ...refusal, status: 429 })),
    ).toMatchObject({
      status: 429,
    });
  });

  test("an answer is whole, and says that the connection ends", () => {
    const answer: Declined = { status: 404, text: "not found", reason: "handshake" };

    const lines = Buffer.from(encodeDeclined(answer)).toString().split("\r\n");

    expect(lines[0]).toBe("HTTP/1.1 404 Not Found");
    expect(lines).toContain("Connection: close");
    expect(lines).toContain("Content-Length: 9");
    expect(lines.slice(-2)).toEqual(["", "not found"]);
  });
});
