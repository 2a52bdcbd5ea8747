import { describe, expect, test } from "bun:test";
import { createQueue } from "./queue.ts";

describe("createQueue", () => {
  test("all come out in order, however they come and go", () => {
    const queue = createQueue<number>();
    const out: (number | undefined)[] = [];
    let pushed = 0;

    for (const [inwards, outwards] of [
      [1, 1],
      [3000, 1200],
      [10, 1700],
      [5, 115],
      [2, 3],
    ] as const) {
      for (let count = 0; count < inwards; count++) queue.push(pushed++);
      for (let count = 0; count < outwards; count++) {
        expect(queue.first()).toBe(queue.size === 0 ? undefined : out.length);
        const one = queue.shift();
        if (one !== undefined) out.push(one);
      }
    }

    expect(out).toEqual(Array.from({ length: pushed }, (_, index) => index));
    expect({ size: queue.size, first: queue.first(), next: queue.shift() }).toEqual({
      ...{ size: 0, first: undefined, next: undefined },
    });
  });
});
