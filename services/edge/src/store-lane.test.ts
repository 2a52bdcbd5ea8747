import { describe, expect, test } from "bun:test";
import { createMemoryRegistry } from "@holdfast/session";
import { boundRegistry, createLane } from "./store-lane.ts";

describe("createLane", () => {
  test("as many as the bound run at once, the others in order as places come free", async () => {
    const lane = createLane(2);
    const ends: (() => void)[] = [];
    const started: number[] = [];
    const results = [0, 1, 2, 3].map((number) =>
      lane.run(async () => {
        started.push(number);
        await new Promise<void>((resolve) => ends.push(resolve));
        return number;
      }),
    );
    expect({ started, waiting: lane.waiting }).toEqual({ started: [0, 1], waiting: 2 });

    ends[1]?.();
    await results[1];
    expect(started).toEqual([0, 1, 2]);
    ends[0]?.();
    ends[2]?.();
    await Promise.all([results[0], results[2]]);
    ends[3]?.();

    expect(await Promise.all(results)).toEqual([0, 1, 2, 3]);
    expect({ inFlight: lane.inFlight, peak: lane.peak }).toEqual({ inFlight: 0, peak: 2 });
  });

  test("a call that fails fails for its caller, and gives its place to the next", async () => {
    const lane = createLane(1);
    const failed = lane.run(() => Promise.reject(new Error("away")));
    const thrown = lane.run(() => {
      throw new Error("bug");
    });
    const next = lane.run(async () => "done");

    expect(await Promise.allSettled([failed, thrown, next])).toEqual([
      { status: "rejected", reason: new Error("away") },
      { status: "rejected", reason: new Error("bug") },
      { status: "fulfilled", value: "done" },
    ]);
    expect(lane.inFlight).toBe(0);
  });
});

describe("boundRegistry", () => {
  test("everything but logins and renewals goes through the lane", async () => {
    const registry = boundRegistry(createMemoryRegistry({ clock: Date }), 8);

    await Promise.all([registry.seats("alice"), registry.end({ account: "alice" }, "test")]);
    await registry.renew([]);

    expect({ peak: registry.lane.peak, inFlight: registry.lane.inFlight }).toEqual({
      ...{ peak: 2, inFlight: 0 },
    });
  });
});
