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
    limits.refused("first");
    void clock.advance(1000);
    limits.refused("second");

    void clock.advance(1999);
    expect([limits.isRefused("first"), limits.isRefused("second")]).toEqual([true, true]);
    void clock.advance(1);
    expect([limits.isRefused("first"), limits.isRefused("second")]).toEqual([false, true]);
  });

  test("no more refused ids are kept than the bound, the oldest goes", () => {
    const { limits } = start();

    for (let each = 0; each <= 100; each++) limits.refused(`id-${each}`);

    expect([limits.isRefused("id-0"), limits.isRefused("id-1")]).toEqual([false, true]);
  });

  test("with 0 no refused id is kept", () => {
    const { limits } = start({ refusedSessionMs: 0 });

    limits.refused("id");

    expect(limits.isRefused("id")).toBe(false);
  });
});
