/** How figures look, the awkward ones too. */
import { describe, expect, test } from "bun:test";
import { changeText, median, millisecondsText, priceText } from "./format.ts";
import { sparklinePath } from "./sparkline.ts";

describe("format", () => {
  test("price has two decimals and groups of three", () => {
    expect([1, 5785, 123_456_700].map(priceText)).toEqual(["0.01", "57.85", "1,234,567.00"]);
  });

  test("change has its sign, and none where it rounds to nothing", () => {
    expect(changeText(101_00, 100_00)).toBe("+1.00%");
    expect(changeText(98_77, 100_00)).toBe("−1.23%");
    expect(changeText(99_999, 100_000)).toBe("0.00%");
  });

  test("milliseconds have a decimal below ten", () => {
    expect([0.44, 9.94, 10.4, 250].map(millisecondsText)).toEqual([
      "0.4 ms",
      "9.9 ms",
      "10 ms",
      "250 ms",
    ]);
  });

  test("median is the one in the middle, and null of nothing", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([])).toBeNull();
  });
});

describe("sparklinePath", () => {
  const box = { width: 10, height: 10, margin: 1 };

  test("highest value lies at the top, the lowest at the bottom", () => {
    expect(sparklinePath([1, 3, 2], box)).toBe("M0.0 9.0L5.0 1.0L10.0 5.0");
  });

  test("fewer values than slots stand at the right, and a floor lies at the bottom", () => {
    expect(sparklinePath([2, 4], { ...box, slots: 3, floor: 0 })).toBe("M5.0 5.0L10.0 1.0");
  });

  test("values that are all the same lie in the middle, and one alone draws nothing", () => {
    expect(sparklinePath([4, 4], box)).toBe("M0.0 5.0L10.0 5.0");
    expect(sparklinePath([4], box)).toBe("");
  });
});
