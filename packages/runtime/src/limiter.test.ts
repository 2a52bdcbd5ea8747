/** Buckets on a clock that is moved by hand. */
import { describe, expect, test } from "bun:test";
import { createManualClock } from "./clock.ts";
import { createLimiter } from "./limiter.ts";

function create(options: { perSecond?: number; burst?: number; keysMax?: number } = {}) {
  const clock = createManualClock();
  const limiter = createLimiter({ perSecond: 2, burst: 3, keysMax: 100, clock, ...options });
  return { clock, limiter };
}

describe("createLimiter", () => {
  test("limiter admits the burst, and says how long to wait after it", () => {
    const { limiter } = create();

    const waits = Array.from({ length: 4 }, () => limiter.take("a"));

    expect(waits).toEqual([0, 0, 0, 500]);
  });

  test("limiter admits again after exactly the wait it said", () => {
    const { clock, limiter } = create();
    for (let count = 0; count < 3; count += 1) limiter.take("a");

    void clock.advance(499);
    const early = limiter.take("a");
    void clock.advance(1);

    expect([early, limiter.take("a"), limiter.take("a")]).toEqual([1, 0, 500]);
  });

  test("limiter saves up no more than the burst", () => {
    const { clock, limiter } = create();
    limiter.take("a");

    void clock.advance(3_600_000);

    expect(Array.from({ length: 4 }, () => limiter.take("a"))).toEqual([0, 0, 0, 500]);
  });

  test("refusals cost nothing, so that waiting always helps", () => {
    const { clock, limiter } = create();
    for (let count = 0; count < 100; count += 1) limiter.take("a");

    void clock.advance(500);

    expect(limiter.take("a")).toBe(0);
  });

  test("keys do not share", () => {
    const { limiter } = create({ burst: 1 });

    expect([limiter.take("a"), limiter.take("b"), limiter.take("a")]).toEqual([0, 0, 500]);
  });

  test("limiter remembers as many keys as its bound, and forgets the quietest", () => {
    const { limiter } = create({ burst: 1, keysMax: 2 });
    limiter.take("a");
    limiter.take("b");
    limiter.take("a");

    limiter.take("c");

    expect(limiter.keys).toBe(2);
    expect([limiter.take("a"), limiter.take("b")]).toEqual([500, 0]);
  });

  test("bucket that is full again is forgotten, one that is not is kept", () => {
    const { clock, limiter } = create({ perSecond: 1, burst: 10 });
    for (let count = 0; count < 10; count += 1) limiter.take("busy");
    for (let count = 0; count < 20; count += 1) limiter.take(`once-${count}`);

    void clock.advance(9_000);
    const early = limiter.take("busy");
    void clock.advance(9_000);
    const kept = limiter.take("busy");
    void clock.advance(20_000);

    expect([early, kept]).toEqual([0, 0]);
    expect(limiter.keys).toBe(0);
  });

  test("memory of a day of accounts is that of the last ones", () => {
    const { clock, limiter } = create({ perSecond: 20, burst: 1000, keysMax: 100_000 });
    let most = 0;

    for (let account = 0; account < 20_000; account += 1) {
      void clock.advance(10);
      limiter.take(`${account}`);
      if (account % 1000 === 0) most = Math.max(most, limiter.keys);
    }

    expect(most).toBeWithin(5_000, 10_001); // fifty seconds of them, or twice that
  });

  test("limiter is exact across generations", () => {
    const { clock, limiter } = create({ perSecond: 1, burst: 3 });
    const waits: number[] = [];

    for (let second = 0; second < 12; second += 1) {
      waits.push(limiter.take("a"), limiter.take("a"));
      void clock.advance(1000);
    }

    // The burst is used up in two seconds; from then on one place a second is left.
    expect(waits.slice(0, 4)).toEqual([0, 0, 0, 0]);
    expect(waits.slice(4)).toEqual(Array.from({ length: 10 }, () => [0, 1000]).flat());
  });

  test("rate of zero admits all and remembers nobody", () => {
    const { limiter } = create({ perSecond: 0, burst: 1 });

    expect([limiter.take("a"), limiter.take("a"), limiter.keys]).toEqual([0, 0, 0]);
  });
});
