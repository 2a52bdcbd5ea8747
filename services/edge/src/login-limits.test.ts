import { describe, expect, test } from "bun:test";
import { createManualClock } from "@holdfast/runtime";
import { createLoginLimits } from "./login-limits.ts";

function start(settings: Partial<Parameters<typeof createLoginLimits>[0]> = {}) {
  const clock = createManualClock();
  const limits = createLoginLimits(
    {
      ...{ accountLoginRate: 1, accountLoginBurst: 2, refusedSessionMs: 3000, rateKeysMax: 100 },
      ...settings,
    },
    { takeLogin: (key) => (key === "full" ? 7 : 0) },
    clock,
  );
  return { clock, limits };
}

describe("createLoginLimits", () => {
  test("an account may try as often as its burst, then at the rate", () => {
    const { clock, limits } = start();

    expect([1, 2, 3].map(() => limits.takeAccount("tag"))).toEqual([0, 0, 1000]);
    expect(limits.takeAccount("other")).toBe(0);
    void clock.advance(1000);
    expect(limits.takeAccount("tag")).toBe(0);
    expect([limits.takeAddress("full"), limits.takeAddress("")]).toEqual([7, 0]);
  });

  test("no more accounts are remembered than the bound", () => {
    const { limits } = start();

    for (let each = 0; each < 1000; each++) limits.takeAccount(`tag-${each}`);

    expect(limits.accounts).toBe(100);
  });

  test("a refused session id is known for as long as it is set, and no longer", () => {
    const { clock, limits } = start();
    limits.refused("first", "session");
    void clock.advance(1000);
    limits.refused("second", "stolen");

    void clock.advance(1999);
    expect(["first", "second"].map(limits.refusalOf)).toEqual(["session", "stolen"]);
    void clock.advance(1);
    expect(["first", "second"].map(limits.refusalOf)).toEqual([null, "stolen"]);
  });

  test("no more refused ids are kept than the bound, the oldest goes", () => {
    const { limits } = start();

    for (let each = 0; each <= 100; each++) limits.refused(`id-${each}`, "session");

    expect(["id-0", "id-1"].map(limits.refusalOf)).toEqual([null, "session"]);
  });

  test("with 0 no refused id is kept", () => {
    const { limits } = start({ refusedSessionMs: 0 });

    limits.refused("id", "session");

    expect(limits.refusalOf("id")).toBeNull();
  });
});
