import { describe, expect, test } from "bun:test";
import type { Notice } from "@holdfast/cluster";
import { createManualClock } from "@holdfast/runtime";
import { type Lapse, watchLapses } from "./lapses.ts";

const seat = { node: "gone-1", connection: "4k" };
const lapse: Lapse = { ...seat, sid: "s", generation: 5, account: "anna", tag: "t" };

describe("watchLapses", () => {
  test("what a step finds is told, with its own generation", async () => {
    const rig = createRig(async () => [lapse]);

    await rig.clock.advance(250);

    const about = { account: "anna", tag: "t", sid: "s", generation: 5, seat };
    expect(rig.told).toEqual([{ kind: "lapsed", ...about, reason: "", atMs: 1250 }]);
  });

  test("steps do not overlap, and a store that is away is not asked", async () => {
    const gate = Promise.withResolvers<readonly Lapse[]>();
    const rig = createRig(() => gate.promise);

    await rig.clock.advance(2500);
    expect(rig.steps()).toBe(1);
    gate.resolve([]);
    rig.setUp(false);
    await rig.clock.advance(2500);
    expect(rig.steps()).toBe(1);
  });

  test("failure is told, and the walk goes on until it is stopped", async () => {
    const rig = createRig(() => Promise.reject(new Error("away")));

    await rig.clock.advance(250);
    await rig.clock.advance(250);
    expect(rig.faults).toEqual(["away", "away"]);
    rig.watch.stop();
    rig.watch.stop();
    await rig.clock.advance(500);

    expect(rig.steps()).toBe(2);
    expect(rig.clock.waiting).toBe(0);
  });
});

function createRig(step: () => Promise<readonly Lapse[]>) {
  const clock = createManualClock(1000);
  const told: Notice[] = [];
  const faults: string[] = [];
  let steps = 0;
  let isUp = true;
  const watch = watchLapses({
    step() {
      steps++;
      return step();
    },
    bus: { notify: (notice) => told.push(notice) > 0 },
    clock,
    isUp: () => isUp,
    onFault: (error) => faults.push(error instanceof Error ? error.message : String(error)),
  });
  watch.start();
  return {
    ...{ clock, told, faults, watch, steps: () => steps },
    setUp(up: boolean) {
      isUp = up;
    },
  };
}
