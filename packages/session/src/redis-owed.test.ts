/** Seats that are owed to Redis: asked again until it has answered, within bounds. */
import { describe, expect, test } from "bun:test";
import { createOwedLeaves, owedLeavesMax } from "./redis-owed.ts";
import { toScript } from "./redis-world.ts";

const leave = toScript("return 1");

function create(run: (key: string) => Promise<unknown>, validMs = 60_000) {
  const faults: string[] = [];
  const owed = createOwedLeaves({
    redis: {
      isCluster: false,
      run: (_, [key = ""]) => run(key),
      preload() {},
      nowMs: () => null,
      lateAfterMs: () => null,
      heardTime() {},
    },
    ...{ leave, validMs, onFault: (stage) => faults.push(stage) },
  });
  return { owed, faults };
}

describe("createOwedLeaves", () => {
  test("a seat is given back in the same turn", () => {
    const asked: string[] = [];
    const { owed } = create(async (key) => asked.push(key));

    owed.owe("anna", []);

    expect(asked).toEqual(["anna"]);
  });

  test("a seat is asked for again until Redis answers, and then no more", async () => {
    const { promise: answered, resolve } = Promise.withResolvers<void>();
    let tries = 0;
    const { owed } = create(async () => {
      if (++tries < 3) throw new Error("Stream isn't writeable");
      resolve();
    });

    owed.owe("anna", []);
    await answered;
    await Promise.resolve();

    expect(tries).toBe(3);
    expect(owed.size).toBe(0);
  });

  test("beyond the bound seats are left to their lease, and counted", () => {
    const { owed, faults } = create(() => new Promise(() => {}));

    for (let seat = 0; seat < owedLeavesMax; seat++) owed.owe(`${seat}`, []);
    expect(faults).toEqual([]);
    owed.owe("one more", []);

    expect(owed.size).toBe(owedLeavesMax);
    expect(faults).toEqual(["leave"]);
  });

  test("a seat that has lapsed by itself is forgotten", async () => {
    let tries = 0;
    const { owed } = create(async () => {
      tries++;
      throw new Error("Stream isn't writeable");
    }, 1);

    owed.owe("anna", []);

    const deadlineMs = performance.now() + 5_000;
    do await Bun.sleep(20);
    while (owed.size > 0 && performance.now() < deadlineMs);
    expect(owed.size).toBe(0);
    expect(tries).toBe(1);
  });
});
