import { describe, expect, test } from "bun:test";
import { createDraw } from "../draw.ts";
import { lineThrough, troughs, withoutWarmUp } from "./line.ts";

const minuteMs = 60_000;

function series(value: (minute: number) => number) {
  return Array.from({ length: 61 }, (_, minute) => ({
    atMs: minute * minuteMs,
    value: value(minute),
  }));
}

describe("lineThrough", () => {
  test("line of a leak tells how much it is in an hour, whatever the noise", () => {
    const leak = lineThrough(series((minute) => 100 + 2 * minute + (minute % 2)));
    const flat = lineThrough(series((minute) => 100 + (minute % 2)));

    expect(leak.perHour).toBeWithin(119.9, 120.1);
    expect(leak.gained).toBeWithin(119.9, 120.1);
    expect(leak.last - leak.first).toBeCloseTo(leak.gained);
    expect(Math.abs(flat.perHour)).toBeLessThan(0.1);
  });

  test("line of one point tells nothing", () => {
    expect(lineThrough(series(() => 1).slice(0, 1)).perHour).toBeNaN();
  });
});

describe("uncertainty", () => {
  const noisy = (seed: number, perHour: number, likeness = 0) => {
    const draw = createDraw(seed);
    let stray = 0;
    return lineThrough(
      series((minute) => {
        stray = likeness * stray + (draw() - 0.5) * 4;
        return 100 + (perHour * minute) / 60 + stray;
      }),
    );
  };
  const seeds = Array.from({ length: 400 }, (_, index) => index + 1);
  const missesOf = (likeness: number) =>
    seeds.filter((seed) => {
      const { perHour, uncertainty } = noisy(seed, 3, likeness);
      return Math.abs(perHour - 3) > uncertainty;
    }).length / seeds.length;

  test("truth is outside of the interval in one of twenty runs", () => {
    expect(missesOf(0)).toBeWithin(0.02, 0.09);
  });

  test("noise that lasts makes the interval wider", () => {
    expect(noisy(1, 3, 0.7).uncertainty).toBeGreaterThan(2 * noisy(1, 3).uncertainty);
    expect(missesOf(0.7)).toBeLessThan(0.15);
  });

  test("line without noise is certain, and one of two or three points is not", () => {
    expect(lineThrough(series((minute) => minute)).uncertainty).toBeLessThan(1e-6);
    for (const count of [2, 3]) {
      const few = series((minute) => minute % 2).slice(0, count);
      expect(lineThrough(few).uncertainty).toBe(Number.POSITIVE_INFINITY);
    }
  });
});

describe("withoutWarmUp", () => {
  test("start that climbs leaves no slope behind", () => {
    const points = series((minute) => Math.min(minute, 12));

    const rest = withoutWarmUp(points, 0.2);

    expect(rest.length).toBe(49);
    expect(lineThrough(rest).perHour).toBe(0);
  });
});

describe("troughs", () => {
  test("saw comes down to what is kept", () => {
    const points = series((minute) => 50 + (minute % 5) * 10 + minute / 60);

    const lowest = troughs(points, 5);

    expect(lowest.map(({ value }) => Math.floor(value))).toEqual(Array(12).fill(50));
    expect(lineThrough(lowest).perHour).toBeWithin(0.9, 1.1);
  });
});
