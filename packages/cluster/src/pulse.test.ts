import { describe, expect, test } from "bun:test";
import { createPulse } from "./pulse.ts";

function createRig() {
  let asked = 0;
  const pulse = createPulse({ silentAfter: 3, lostAfter: 5, ask: () => void asked++ });
  return {
    pulse,
    get asked() {
      return asked;
    },
    /** What each of so many looks says when nothing is heard. */
    wait: (looks: number) => Array.from({ length: looks }, () => pulse.look(100)),
  };
}

describe("createPulse", () => {
  test("one who speaks is not asked", () => {
    const rig = createRig();

    const changes = [10, 20, 30, 40, 50].map((bytes) => rig.pulse.look(bytes));

    expect(changes).toEqual([null, null, null, null, null]);
    expect(rig.asked).toBe(0);
  });

  test("one who falls silent is asked once, then silent, then lost", () => {
    const rig = createRig();

    const changes = rig.wait(9);

    // The first hears what came before, the second asks.
    const silent = [null, null, null, null, "silent", null, "lost", null, null];
    expect(changes).toEqual(silent as typeof changes);
    expect(rig.asked).toBe(1);
    expect(rig.pulse.isSilent).toBe(true);
  });

  test("one who answers at the last look was never silent", () => {
    const rig = createRig();
    rig.wait(4);

    expect(rig.pulse.look(106)).toBeNull();

    expect(rig.pulse.isSilent).toBe(false);
  });

  test("one who speaks again is heard, and asked again at the next silence", () => {
    const rig = createRig();
    rig.wait(6);

    expect(rig.pulse.look(106)).toBe("heard");
    expect(rig.pulse.isSilent).toBe(false);
    rig.pulse.look(106);

    expect(rig.asked).toBe(2);
  });

  test("another connection starts afresh", () => {
    const rig = createRig();
    rig.wait(6);

    rig.pulse.reset();

    expect(rig.pulse.isSilent).toBe(false);
    expect(rig.pulse.look(100)).toBeNull();
    expect(rig.wait(4)).toEqual([null, null, null, "silent"]);
  });
});
