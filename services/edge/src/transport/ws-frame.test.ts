import { describe, expect, test } from "bun:test";
import {
  encodeCloseFrame,
  frameHeadBytes,
  isCloseCode,
  unmask,
  unmaskedCopy,
  writeFrameHead,
} from "./ws-frame.ts";

const mask = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d);

function masked(plain: Uint8Array): Uint8Array {
  return plain.map((byte, index) => byte ^ mask[index & 3]!); // in bounds
}

describe("masks", () => {
  test("a mask comes off at every start and length, and nothing beside it is touched", () => {
    for (const size of [0, 1, 2, 3, 4, 5, 7, 8, 255, 256, 257, 258, 259, 300, 1029]) {
      for (let start = 0; start < 9; start++) {
        const plain = new Uint8Array(size).map((_, index) => index * 7 + size);
        const bytes = new Uint8Array(start + size + 5).fill(0xee);
        bytes.set(masked(plain), start);

        unmask(bytes, start, start + size, mask, 0);

        expect(Buffer.compare(bytes.subarray(start, start + size), plain)).toBe(0);
        expect([...bytes.subarray(0, start), ...bytes.subarray(start + size)]).toEqual(
          new Array(start + 5).fill(0xee),
        );
      }
    }
  });

  test("a view that does not begin on a word is unmasked in its own place", () => {
    const whole = new Uint8Array(1003);
    const view = whole.subarray(3);
    const plain = new Uint8Array(1000).map((_, index) => index);
    view.set(masked(plain));

    unmask(view, 0, view.length, mask, 0);

    expect(Buffer.compare(view, plain)).toBe(0);
    expect([...whole.subarray(0, 3)]).toEqual([0, 0, 0]);
  });

  test("a copy is unmasked, and its source is not", () => {
    for (const size of [0, 1, 2, 3, 4, 21]) {
      const plain = new Uint8Array(size).map((_, index) => index + 1);
      const bytes = Uint8Array.of(...mask, ...masked(plain), 9);

      expect([...unmaskedCopy(bytes, 4, size, 0)]).toEqual([...plain]);
      expect([...bytes]).toEqual([...mask, ...masked(plain), 9]);
    }
  });
});

describe("heads", () => {
  test.each([
    [0, "8200"],
    [125, "827d"],
    [126, "827e007e"],
    [65_535, "827effff"],
    [65_536, "827f0000000000010000"],
    [16_777_215, "827f0000000000ffffff"],
  ])("the head of a payload of %d bytes is as short as it can be", (size, hex) => {
    const head = new Uint8Array(frameHeadBytes(0x82, size));

    writeFrameHead(head, 0, 0x82, size);

    expect(head.toHex()).toBe(hex);
  });

  test("what is in no frame has no head", () => {
    expect(frameHeadBytes(0, 100)).toBe(0);
  });
});

describe("close frames", () => {
  test("a code and a reason, or neither", () => {
    expect(encodeCloseFrame(4003, "bad").toHex()).toBe("88050fa3626164");
    expect(encodeCloseFrame(null, "").toHex()).toBe("8800");
  });

  test.each([
    [[1000, 1001, 1002, 1003, 1007, 1011, 1012, 1014, 3000, 3999, 4000, 4999], true],
    [[0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65_535], false],
  ])("of the codes %p may be sent: %p", (codes, may) => {
    expect(codes.map(isCloseCode)).toEqual(codes.map(() => may));
  });
});
