import { describe, expect, test } from "bun:test";
import { createPace, isInPace, step } from "./pace.ts";
import { defaultRule } from "./topic-rules.ts";

const rule = { ...defaultRule, paceMs: 100, burstMax: 3 };

describe("pace", () => {
  test("burst goes at once, and the next one when the first of it is old enough", () => {
    const pace = createPace();
    for (const atMs of [0, 10, 20]) {
      expect(isInPace(pace, rule, atMs)).toBe(true);
      step(pace, rule, atMs);
    }

    expect(isInPace(pace, rule, 21)).toBe(false);
    expect(isInPace(pace, rule, 99)).toBe(false);
    expect(isInPace(pace, rule, 100)).toBe(true);
    step(pace, rule, 100);
    expect(isInPace(pace, rule, 109)).toBe(false);
    expect(isInPace(pace, rule, 110)).toBe(true);
  });

  test("no interval has more than the burst, however the pushes come", () => {
    const pace = createPace();
    const sentMs: number[] = [];
    for (let atMs = 0; atMs < 2000; atMs += 7) {
      if (!isInPace(pace, rule, atMs)) continue;
      step(pace, rule, atMs);
      sentMs.push(atMs);
    }

    const spans = sentMs.slice(3).map((atMs, index) => atMs - (sentMs[index] ?? 0));
    expect(Math.min(...spans)).toBeGreaterThanOrEqual(100);
    expect(sentMs.length).toBeGreaterThan(50);
    expect(pace.sentMs.length).toBe(3);
  });

  test("rule without a pace holds nothing back", () => {
    const pace = createPace();
    step(pace, rule, 0);

    expect(isInPace(pace, defaultRule, 0)).toBe(true);
  });
});
