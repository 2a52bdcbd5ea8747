import { describe, expect, test } from "bun:test";
import { headBytesMax, headersMax, type RequestHead, RequestReader } from "./ws-request.ts";

const latin1 = (text: string): Uint8Array => Buffer.from(text, "latin1");

function read(text: string, cut = text.length): RequestHead | number | null {
  const reader = new RequestReader();
  let head: RequestHead | number | null = null;
  for (let at = 0; at < text.length && head === null; at += cut) {
    head = reader.push(latin1(text.slice(at, at + cut)));
  }
  return head;
}

function headersOf(lines: readonly string[]): Record<string, string> | number | null {
  const head = read(`GET / HTTP/1.1\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`);
  return typeof head === "object" && head !== null ? Object.fromEntries(head.headers) : head;
}

describe("request heads", () => {
  const text = "GET /v2?a=b HTTP/1.1\r\nHost: x\r\nX-A:  b c\t\r\nx-a: d\r\nX-Empty:\r\n\r\n";

  test.each([1, 2, 3, 7, 1000])("in chunks of %d bytes one is read", (cut) => {
    const head = read(text, cut) as RequestHead; // asserted below

    expect(head).toMatchObject({ method: "GET", target: "/v2?a=b" });
    expect(Object.fromEntries(head.headers)).toEqual({ host: "x", "x-a": "b c, d", "x-empty": "" });
  });

  test("what follows is kept, whatever came with the end of the head", () => {
    for (const first of [text.length, text.length + 2, 10]) {
      const reader = new RequestReader();
      const bytes = latin1(`${text}\x82\x80rest`);
      const head = reader.push(bytes.slice(0, first)) ?? reader.push(bytes.slice(first));

      expect(head).toMatchObject({ method: "GET" });
      expect(Buffer.from(reader.rest).toString("latin1")).toStartWith(
        first > 10 ? "\x82\x80".slice(0, first - text.length) : "\x82\x80rest",
      );
    }
  });

  test.each([0, 1])("a head %d bytes above the bound", (above) => {
    const start = "GET / HTTP/1.1\r\nX: ";
    const whole = `${start}${"a".repeat(headBytesMax - start.length - 4 + above)}\r\n\r\n`;

    for (const cut of [whole.length, 1000]) {
      expect(typeof read(whole, cut)).toBe(above === 0 ? "object" : "number");
    }
    if (above > 0) expect(read(whole)).toBe(431);
  });

  test("a head that never ends is refused at the bound, and kept no longer", () => {
    const reader = new RequestReader();
    let pushed = 0;
    let head: RequestHead | number | null = null;
    for (; head === null; pushed += 100) head = reader.push(latin1("A".repeat(100)));

    expect(head).toBe(431);
    expect(pushed).toBeWithin(headBytesMax, headBytesMax + 101);
    expect(reader.heldBytes).toBeLessThan(2 * headBytesMax);
  });

  test.each([
    [headersMax, "object" as const],
    [headersMax + 1, "number" as const],
  ])("%d headers are an %s", (count, kind) => {
    expect(typeof headersOf(new Array(count).fill("X: a"))).toBe(kind);
  });

  test.each([
    ["GET / HTTP/1.0", 505],
    ["GET / HTTP/2.0", 505],
    ["GET / HTTP/9.9", 505],
    ["GET / HTTP/1.10", 400],
    ["GET /", 400],
    ["GET  / HTTP/1.1", 400],
    ["GET / HTTP/1.1 ", 400],
    ["GET /a b HTTP/1.1", 400],
    ["GET /\x00 HTTP/1.1", 400],
    ["GET /\xe4 HTTP/1.1", 400],
    ["G@T / HTTP/1.1", 400],
    ["PROXY TCP4 1.2.3.4 5.6.7.8 1 2", 400],
  ])("the request line %p is answered %d", (line, status) => {
    expect(read(`${line}\r\nHost: x\r\n\r\n`)).toBe(status);
  });

  test.each([
    [["X-None"]],
    [["X-Blank : a"]],
    [[": a"]],
    [[" X-Fold: a"]],
    [["X-Fold: a", " b"]],
    [["X-Zero: a\x00b"]],
    [["X-Return: a\rb"]],
    [["X-Delete: a\x7f"]],
    [["Host: a", "Host: a"]],
    [["Content-Length: 0", "Content-Length: 0"]],
    [["Sec-WebSocket-Key: a", "sec-websocket-key: a"]],
    [["Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13"]],
  ])("the headers %p are answered 400", (lines) => {
    expect(headersOf(lines)).toBe(400);
  });

  test.each(["\r\nGET / HTTP/1.1\r\n\r\n", "\x16\x03\x01", "\n", "GET / HTTP/1.1\n\n", "1"])(
    "what begins with %p is no request, and not waited for",
    (text) => {
      expect(read(text)).toBe(400);
    },
  );
});
