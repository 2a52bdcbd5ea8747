/** What becomes of lines when the reader is slow, stalls, or is gone. */
import { describe, expect, test } from "bun:test";
import { createOutput, type WriteBytes } from "./output.ts";

/** A descriptor that answers when the test says so. */
function createFakeDescriptor() {
  const taken: string[] = [];
  let pending: { bytes: Uint8Array; done: Parameters<WriteBytes>[1] } | null = null;
  const write: WriteBytes = (bytes, done) => {
    pending = { bytes, done };
  };
  return { write, taken, take, fail };

  function take(bytesMax = Number.POSITIVE_INFINITY): void {
    const now = pending;
    if (now === null) throw new Error("Nothing is being written");
    const part = now.bytes.subarray(0, bytesMax);
    pending = null;
    taken.push(new TextDecoder().decode(part));
    now.done(null, part.length);
  }

  function fail(code: string): void {
    pending?.done(Object.assign(new Error(code), { code }), 0);
  }
}

describe("createOutput", () => {
  test("output keeps the order while one write is on its way", () => {
    const descriptor = createFakeDescriptor();
    const output = createOutput({ waitingBytesMax: 100, write: descriptor.write });

    output.write("a\n");
    output.write("b\n");
    output.write("c\n");
    descriptor.take();
    descriptor.take();

    expect(descriptor.taken).toEqual(["a\n", "b\nc\n"]);
  });

  test("output writes the rest when only a part was taken", () => {
    const descriptor = createFakeDescriptor();
    const output = createOutput({ waitingBytesMax: 100, write: descriptor.write });

    output.write("abc\n");
    descriptor.take(1);
    descriptor.take();

    expect(descriptor.taken).toEqual(["a", "bc\n"]);
  });

  test("output holds as many bytes as its bound, and drops the line above it", () => {
    const descriptor = createFakeDescriptor();
    const output = createOutput({ waitingBytesMax: 4, write: descriptor.write });
    output.write("0\n"); // is being written, and no longer waits

    output.write("1\n");
    output.write("2\n");
    const atBound = output.lost;
    output.write("\n");
    descriptor.take();
    descriptor.take();

    expect([atBound, output.lost]).toEqual([0, 1]);
    expect(descriptor.taken).toEqual(["0\n", "1\n2\n"]);
  });

  test.each(["EPIPE", "ENOSPC", "EIO"])("output counts a line lost to %s, and goes on", (code) => {
    const descriptor = createFakeDescriptor();
    const output = createOutput({ waitingBytesMax: 100, write: descriptor.write });

    output.write("a\n");
    output.write("b\n");
    descriptor.fail(code);
    descriptor.take();

    expect(output.lost).toBe(1);
    expect(descriptor.taken).toEqual(["b\n"]);
  });

  test("output tries again when the descriptor is busy", async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    let attempts = 0;
    const output = createOutput({
      waitingBytesMax: 100,
      write: (bytes, done) => {
        attempts += 1;
        if (attempts === 1) return done(Object.assign(new Error("busy"), { code: "EAGAIN" }), 0);
        resolve(new TextDecoder().decode(bytes));
        done(null, bytes.length);
      },
    });

    output.write("a\n");

    expect(await promise).toBe("a\n");
    expect(output.lost).toBe(0);
  });

  test("flush resolves when everything is written", async () => {
    const descriptor = createFakeDescriptor();
    const output = createOutput({ waitingBytesMax: 100, write: descriptor.write });
    output.write("a\n");
    output.write("b\n");

    const flushed = output.flush(10_000);
    descriptor.take();
    descriptor.take();
    await flushed;

    expect(descriptor.taken).toEqual(["a\n", "b\n"]);
  });

  test("flush waits no longer than it was told for a reader that stalls", async () => {
    const descriptor = createFakeDescriptor();
    const output = createOutput({ waitingBytesMax: 100, write: descriptor.write });
    output.write("a\n");

    await output.flush(1);

    expect(descriptor.taken).toEqual([]);
  });
});
