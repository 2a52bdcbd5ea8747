import { describe, expect, test } from "bun:test";
import { createManualClock } from "@holdfast/runtime";
import { createTopicInterest } from "./topic-interest.ts";

describe("createTopicInterest", () => {
  test("topic is subscribed once, and let go when its time without members is over", async () => {
    const { interest, clock, heard } = createRig({ keepMs: 1000 });

    interest.set("a", true);
    interest.set("a", true);
    interest.set("a", false);
    await clock.advance(999);
    expect([...heard]).toEqual(["a"]);
    await clock.advance(251);

    expect([...heard]).toEqual([]);
    expect(interest.size).toBe(0);
    expect(clock.waiting).toBe(0);
  });

  test("topic that is wanted again in time is never let go", async () => {
    const { interest, clock, heard, asked } = createRig({ keepMs: 1000 });

    for (let round = 0; round < 10; round++) {
      interest.set("a", true);
      await clock.advance(900);
      interest.set("a", false);
      await clock.advance(900);
    }
    interest.set("a", true);
    await clock.advance(10_000);

    expect([...heard]).toEqual(["a"]);
    expect(asked).toEqual(["a"]);
  });

  test("beyond the bound a topic without members is let go at once", () => {
    const { interest, heard } = createRig({ keepMs: 1000, keptMax: 2 });

    for (const topic of ["a", "b", "c"]) interest.set(topic, true);
    for (const topic of ["a", "b", "c"]) interest.set(topic, false);

    expect([...heard]).toEqual(["a", "b"]);
  });

  test("stop lets go of everything, and nothing is heard afterwards", () => {
    const { interest, clock, heard } = createRig({ keepMs: 1000 });
    interest.set("a", true);
    interest.set("b", true);
    interest.set("b", false);

    interest.stop();
    interest.stop();
    interest.set("c", true);

    expect([...heard]).toEqual([]);
    expect(clock.waiting).toBe(0);
  });

  test("topic that nobody has joined may be left", () => {
    const { interest } = createRig({ keepMs: 1000 });

    interest.set("a", false);

    expect(interest.size).toBe(0);
  });
});

function createRig(options: { keepMs: number; keptMax?: number }) {
  const clock = createManualClock();
  const heard = new Set<string>();
  const asked: string[] = [];
  const interest = createTopicInterest({
    ...options,
    clock,
    subscribe(topic) {
      heard.add(topic);
      asked.push(topic);
      return { drain: async () => void heard.delete(topic), isClosed: () => !heard.has(topic) };
    },
  });
  return { interest, clock, heard, asked };
}
