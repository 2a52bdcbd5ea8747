import { describe, expect, test } from "bun:test";
import type { UpstreamCall } from "./upstream.ts";
import { createWaitingCalls } from "./waiting-calls.ts";

const create = () => ({ number: 0 }) as UpstreamCall; // the table looks at nothing else

describe("createWaitingCalls", () => {
  test("call is found by its number, once", () => {
    const waiting = createWaitingCalls();
    const [one, two] = [create(), create()];
    const numbers = [waiting.add(one), waiting.add(two)];

    expect(numbers).toEqual([one.number, two.number]);
    expect(waiting.take(one.number)).toBe(one);
    expect(waiting.take(one.number)).toBeNull();
    expect(waiting.all()).toEqual([two]);
    expect(waiting.size).toBe(1);
  });

  test.each([0, -1, 3, 65, 2 ** 32 + 1, Number.NaN, Number.POSITIVE_INFINITY])(
    "number %d, which was not given, finds nothing",
    (number) => {
      const waiting = createWaitingCalls();
      waiting.add(create());
      waiting.add(create());

      expect(waiting.take(number)).toBeNull();
      expect(waiting.wasGiven(number)).toBe(false);
    },
  );

  test("numbers are never given again, and each is known afterwards", () => {
    const waiting = createWaitingCalls();
    const given = new Set<number>();

    for (let index = 0; index < 1000; index++) {
      const number = waiting.add(create());
      given.add(number);
      waiting.take(number);
    }

    expect(given.size).toBe(1000);
    expect([...given].every((number) => waiting.wasGiven(number))).toBe(true);
  });

  test("one that waits for long is passed by, and still found", () => {
    const waiting = createWaitingCalls();
    const slow = create();
    waiting.add(slow);

    for (let index = 0; index < 1000; index++) waiting.take(waiting.add(create()));

    expect(waiting.take(slow.number)).toBe(slow);
    expect(waiting.size).toBe(0);
  });

  test("as many as there are find room, and are all found", () => {
    const waiting = createWaitingCalls();
    const calls = Array.from({ length: 5000 }, create);
    for (const call of calls) {
      waiting.add(call);
      waiting.take(waiting.add(create())); // some come and go
    }

    expect(waiting.size).toBe(5000);
    expect(calls.map((call) => waiting.take(call.number))).toEqual(calls);
  });
});
