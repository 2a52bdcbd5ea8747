import { describe, expect, test } from "bun:test";
import { createOutgoing } from "./nats-outgoing.ts";

/** A socket that needs the bytes it was given until it is told to let go of them. */
function createSocket() {
  const frames: { readonly frame: Uint8Array; readonly written: () => void }[] = [];
  const outgoing = createOutgoing((frame, written) => void frames.push({ frame, written }));
  return {
    ...{ outgoing, frames },
    get text() {
      return frames.map(({ frame }) => Buffer.from(frame).toString());
    },
    /** Bytes of memory that the frames keep. */
    get keptBytes() {
      const memories = new Set(frames.map(({ frame }) => frame.buffer));
      return [...memories].reduce((sum, { byteLength }) => sum + byteLength, 0);
    },
  };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const bytesOf = (text: string) => Buffer.from(text);

describe("createOutgoing", () => {
  test("what is added in one turn leaves at its end, in one write", async () => {
    const socket = createSocket();

    socket.outgoing.add(bytesOf("a"));
    await Promise.resolve();
    socket.outgoing.add(bytesOf("b"));
    expect(socket.frames.length).toBe(0);
    await turn();

    expect(socket.text).toEqual(["ab"]);
  });

  test("bytes that are not written yet are not written over", async () => {
    const socket = createSocket();
    const texts = Array.from({ length: 20 }, (_, index) => `turn ${index}`);

    for (const text of texts) {
      socket.outgoing.add(bytesOf(text));
      await turn();
    }

    expect(socket.text).toEqual(texts);
  });

  test("memory is used again once it has been written", async () => {
    const socket = createSocket();

    for (let index = 0; index < 100; index++) {
      socket.outgoing.add(bytesOf("x"));
      await turn();
      socket.frames.at(-1)?.written();
    }

    expect(new Set(socket.frames.map(({ frame }) => frame.buffer)).size).toBeLessThanOrEqual(2);
  });

  test("a socket that takes nothing keeps little more than what it was given", async () => {
    const socket = createSocket();

    for (let index = 0; index < 1000; index++) {
      socket.outgoing.add(new Uint8Array(100));
      await turn();
    }

    expect(socket.frames.length).toBe(1000);
    expect(socket.keptBytes).toBeLessThan(400_000);
  });

  test("large frame keeps its place", async () => {
    const socket = createSocket();
    const large = "y".repeat(100_000);

    socket.outgoing.add(bytesOf("before"));
    socket.outgoing.add(bytesOf(large));
    socket.outgoing.add(bytesOf("after"));
    await turn();

    expect(socket.text).toEqual(["before", large, "after"]);
  });

  test("more than a sheet holds leaves sheet by sheet", async () => {
    const socket = createSocket();
    const parts = Array.from({ length: 30 }, (_, index) => String(index % 10).repeat(10_000));

    for (const part of parts) socket.outgoing.add(bytesOf(part));
    await turn();

    expect(socket.text.join("")).toBe(parts.join(""));
  });
});
