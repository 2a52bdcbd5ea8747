/** The manual clock keeps the promises of the interface, in the order of time. */
import { describe, expect, test } from "bun:test";
import { createManualClock, systemClock } from "./clock.ts";

describe("createManualClock", () => {
  test("clock stands still until it is moved", () => {
    const clock = createManualClock(1_000);

    const before = [clock.now(), clock.monotonic()];
    void clock.advance(250);

    expect(before).toEqual([1_000, 0]);
    expect([clock.now(), clock.monotonic()]).toEqual([1_250, 250]);
  });

  test("clock ticks within the call, once for each interval", () => {
    const clock = createManualClock();
    const ticks: number[] = [];
    clock.every(100, () => ticks.push(clock.monotonic()));

    void clock.advance(99);
    void clock.advance(1);
    void clock.advance(250);

    expect(ticks).toEqual([100, 200, 300]);
  });

  test("clock ticks no more once it has been told to stop", () => {
    const clock = createManualClock();
    let ticks = 0;
    const stop = clock.every(10, () => {
      ticks += 1;
      stop();
    });

    void clock.advance(100);
    stop();

    expect(ticks).toBe(1);
    expect(clock.waiting).toBe(0);
  });

  test("clock wakes sleepers in the order of their time", async () => {
    const clock = createManualClock();
    const woken: string[] = [];
    void clock.sleep(200).then(() => woken.push("late"));
    void clock.sleep(100).then(() => woken.push("early"));

    await clock.advance(200);

    expect(woken).toEqual(["early", "late"]);
  });

  test("clock lets a loop of sleeps run on within one advance", async () => {
    const clock = createManualClock();
    const times: number[] = [];
    void (async () => {
      for (let round = 0; round < 3; round += 1) {
        await clock.sleep(10);
        times.push(clock.monotonic());
      }
    })();

    await clock.advance(30);

    expect(times).toEqual([10, 20, 30]);
  });

  test("clock refuses an interval that would never end", () => {
    const clock = createManualClock();

    expect(() => clock.every(0, () => {})).toThrow("Cannot tick every 0 ms: above 0");
  });
});

describe("systemClock", () => {
  test("clock ticks and can be stopped", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const before = systemClock.monotonic();

    const stop = systemClock.every(1, resolve);
    await promise;
    stop();
    await systemClock.sleep(1);

    expect(systemClock.monotonic()).toBeGreaterThan(before);
    expect(systemClock.now()).toBeGreaterThan(1_700_000_000_000);
  });
});
