import { describe, expect, test } from "bun:test";
import {
  createWsReader,
  encodeClosePayload,
  encodeFrame,
  Opcode,
  WsProtocolError,
} from "./ws-frames.ts";

const text = (words: string) => new TextEncoder().encode(words);

function readAll(bytes: Uint8Array, chunkBytes = bytes.length) {
  const reader = createWsReader({ messageBytesMax: 200_000 });
  const events = [];
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    reader.push(bytes.slice(at, at + chunkBytes));
    for (let event = reader.next(); event !== null; event = reader.next()) events.push(event);
  }
  return events;
}

describe("encodeFrame", () => {
  test("a masked text frame is the one of RFC 6455, section 5.7", () => {
    const mask = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d);

    const bytes = encodeFrame({ isFinal: true, opcode: Opcode.text, payload: text("Hello") }, mask);

    expect(Buffer.from(bytes).toString("hex")).toBe("818537fa213d7f9f4d5158");
  });

  test.each([
    [125, 2],
    [126, 4],
    [65_535, 4],
    [65_536, 10],
  ])("a payload of %p bytes has an unmasked header of %p", (size, header) => {
    const payload = new Uint8Array(size).fill(7);

    const bytes = encodeFrame({ isFinal: true, opcode: Opcode.binary, payload }, null);

    expect(bytes.length).toBe(header + size);
    expect(readAll(bytes)).toEqual([{ kind: "binary", payload }]);
  });

  test("a masked payload is not changed for its owner", () => {
    const payload = text("mine");

    encodeFrame({ isFinal: true, opcode: Opcode.binary, payload });

    expect(payload).toEqual(text("mine"));
  });
});

describe("createWsReader", () => {
  const fragmented = Buffer.concat([
    encodeFrame({ isFinal: false, opcode: Opcode.binary, payload: text("one ") }, null),
    encodeFrame({ isFinal: true, opcode: Opcode.ping, payload: text("p") }, null),
    encodeFrame({ isFinal: false, opcode: Opcode.continuation, payload: text("two ") }),
    encodeFrame({ isFinal: true, opcode: Opcode.continuation, payload: text("three") }, null),
    encodeFrame(
      { isFinal: true, opcode: Opcode.close, payload: encodeClosePayload(4002, "bye") },
      null,
    ),
  ]);

  test.each([1, 2, 3, 7, 1_000])("fragments and control frames come in chunks of %p", (chunk) => {
    const events = readAll(fragmented, chunk);

    expect(events).toEqual([
      { kind: "ping", payload: text("p") },
      { kind: "binary", payload: text("one two three") },
      { kind: "close", code: 4002, reason: "bye" },
    ]);
  });

  test.each([
    ["a reserved bit", "c100"],
    ["a continuation of nothing", "8000"],
    ["a message within a message", "01008100"],
    ["a fragmented ping", "0900"],
    ["a ping of 126 bytes", `897e007e${"00".repeat(126)}`],
    ["half a close code", "880103"],
    ["an unknown opcode", "8300"],
    ["an unknown control opcode", "8b00"],
    ["a message over the limit", "827f000000000fffffff"],
  ])("%s is refused", (_, hex) => {
    expect(() => readAll(new Uint8Array(Buffer.from(hex, "hex")))).toThrow(WsProtocolError);
  });

  test("a close frame may have no code", () => {
    const events = readAll(Uint8Array.of(0x88, 0));

    expect(events).toEqual([{ kind: "close", code: null, reason: "" }]);
  });
});
