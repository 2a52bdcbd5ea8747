/** What a process may conclude about the clock of Redis from a few answers. */
import { describe, expect, test } from "bun:test";
import { createRedisClock } from "./redis-clock.ts";

const redis = {};

describe("createRedisClock", () => {
  test("nothing is known before an answer, and after it was forgotten", () => {
    const clock = createRedisClock();
    expect(clock.at(0)).toBeNull();

    clock.heard(redis, { timeMs: 5_000, askedMs: 10, answeredMs: 12 });
    expect(clock.at(10)).not.toBeNull();
    clock.forget(redis);

    expect(clock.at(10)).toBeNull();
  });

  test("the time is never earlier than it can be, whatever part of the way was slow", () => {
    const clock = createRedisClock();

    clock.heard(redis, { timeMs: 5_000, askedMs: 10, answeredMs: 12 });

    expect(clock.at(10)).toBe(5_000 - 0.001); // it was read at 10 at the earliest, and heard at 12
    expect(clock.at(12)).toBe(5_002);
  });

  test("a quick answer counts more than slow ones before and after it", () => {
    const clock = createRedisClock();
    clock.heard(redis, { timeMs: 1_000_400, askedMs: 0, answeredMs: 800 });
    clock.heard(redis, { timeMs: 1_001_001, askedMs: 1_000, answeredMs: 1_002 });
    clock.heard(redis, { timeMs: 1_002_500, askedMs: 2_000, answeredMs: 2_600 });

    const timeMs = clock.at(2_600)!; // it was told

    expect(timeMs).toBeGreaterThanOrEqual(1_002_600);
    expect(timeMs).toBeLessThan(1_002_605);
  });

  test.each([
    ["forward", 60_000],
    ["back", -60_000],
  ])("a clock that jumped %s is believed at its next answer", (_, jumpMs) => {
    const clock = createRedisClock();
    clock.heard(redis, { timeMs: 1_000_001, askedMs: 0, answeredMs: 2 });

    clock.heard(redis, { timeMs: 1_001_001 + jumpMs, askedMs: 1_000, answeredMs: 1_002 });

    expect(Math.abs(clock.at(1_002)! - 1_001_002 - jumpMs)).toBeLessThan(3); // it was told
  });

  test("a clock that has not been heard for 5 s counts only for whom it is recent enough", () => {
    const clock = createRedisClock();
    clock.heard(redis, { timeMs: 1_000_000, askedMs: 0, answeredMs: 1 });

    expect(clock.at(5_002)).toBeNull();
    expect(clock.at(5_002, 5_000)).toBeNull();
    expect(clock.at(5_002, 5_001)).toBeWithin(1_005_002, 1_005_010);
  });

  test("of several clocks the one furthest ahead counts, as long as it is heard", () => {
    const clock = createRedisClock();
    clock.heard({}, { timeMs: 1_000_300, askedMs: 0, answeredMs: 1 });
    clock.heard(redis, { timeMs: 1_000_000, askedMs: 0, answeredMs: 1 });
    clock.heard({}, { timeMs: 1_000_100, askedMs: 0, answeredMs: 1 });
    expect(Math.round(clock.at(1)!)).toBe(1_000_301); // it was told

    clock.heard(redis, { timeMs: 1_005_500, askedMs: 5_500, answeredMs: 5_501 });

    expect(Math.round(clock.at(5_501)!)).toBe(1_005_501); // it was told
  });
});
