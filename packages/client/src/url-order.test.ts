/** Orders of URLs: fair among clients, and none is left out. */
import { describe, expect, test } from "bun:test";
import { createUrlOrder } from "./url-order.ts";

const urls = ["a", "b", "c"];

/** The next ones, of a client that never comes in. */
function walk(order: ReturnType<typeof createUrlOrder>, steps: number): string {
  let walked = "";
  for (let step = 0; step < steps; step++) {
    walked += order.url;
    order.next(false);
  }
  return walked;
}

/** Numbers that are the same in each run. */
function createRandom(): () => number {
  let state = 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

describe("createUrlOrder", () => {
  test("with a first one the list is walked in its order, from there", () => {
    const order = createUrlOrder({ urls, first: 1, random: Math.random });

    expect(walk(order, 7)).toBe("bcabcab");
    order.next(true);
    expect(order.url).toBe("a");
  });

  test("each is tried once a round, and none twice in a row", () => {
    const random = createRandom();
    const orders = new Set<string>();
    for (let client = 0; client < 200; client++) {
      const walked = walk(createUrlOrder({ urls, first: null, random }), 9);
      for (const from of [0, 3, 6]) {
        const round = walked.slice(from, from + 3);
        expect([...round].toSorted()).toEqual(urls);
        orders.add(round);
      }
      expect(walked).not.toMatch(/(.)\1/);
    }
    expect(orders.size).toBe(6); // all that there are
  });

  test("clients that lose one node go to each of the others in like numbers", () => {
    const random = createRandom();
    const gone = { b: 0, c: 0 };
    for (let left = 1000; left > 0; ) {
      const order = createUrlOrder({ urls, first: null, random });
      if (order.url !== "a") continue;
      left--;
      order.next(true);
      gone[order.url as "b" | "c"]++; // not where it was
    }

    expect(Math.abs(gone.b - gone.c)).toBeLessThan(100); // three standard deviations are 95
  });

  test("a round that a loss begins has every URL, the lost one last", () => {
    const order = createUrlOrder({ urls, first: null, random: createRandom() });
    const lost = order.url;
    order.next(true);

    const round = walk(order, 3);
    expect([...round].toSorted()).toEqual(urls);
    expect(round.at(-1)).toBe(lost);
  });

  test("one URL is tried again and again", () => {
    const order = createUrlOrder({ urls: ["a"], first: null, random: Math.random });

    order.next(true);
    expect(walk(order, 3)).toBe("aaa");
  });
});
