/** What counts as one address, and how much of it is let in, on a clock that is moved by hand. */
import { describe, expect, test } from "bun:test";
import { createManualClock } from "@holdfast/runtime";
import { createAddressLimits } from "./address-limits.ts";

const rates = {
  ...{ addressConnectRate: 2, addressConnectBurst: 3, addressConnectionsMax: 2 },
  ...{ addressLoginRate: 1, addressLoginBurst: 2, addressAllow: [], rateKeysMax: 100 },
};

function start(settings: Partial<Parameters<typeof createAddressLimits>[0]> = {}) {
  const clock = createManualClock();
  const limits = createAddressLimits({ ...rates, ...settings }, clock);
  const keyOf = (remoteAddress: string | undefined) => limits.keyOf({ remoteAddress });
  return { clock, limits, keyOf };
}

describe("keyOf", () => {
  test("IPv6 counts by its /64, and IPv4 written as IPv6 as IPv4", () => {
    const { keyOf } = start();

    expect(keyOf("2001:db8:1:2::1")).toBe(keyOf("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    expect(keyOf("2001:db8:1:2::1")).not.toBe(keyOf("2001:db8:1:3::1"));
    expect(keyOf("::ffff:192.0.2.1")).toBe(keyOf("192.0.2.1"));
    expect(keyOf("192.0.2.1")).not.toBe(keyOf("192.0.2.2"));
  });

  test("networks of the list, and what is no address, have no limit", () => {
    const { limits, keyOf } = start({ addressAllow: ["192.0.2.0/24", "2001:db8::7"] });

    expect(["192.0.2.255", "::ffff:192.0.2.0", "2001:db8::7", ""].map(keyOf)).toEqual([
      ...["", "", "", ""],
    ]);
    expect(keyOf(undefined)).toBe(""); // of a socket that left in the moment it came
    expect(keyOf("192.0.3.0")).not.toBe("");
    expect(Array.from({ length: 9 }, () => limits.refusalOf(""))).toEqual(Array(9).fill(null));
    expect(limits.takeLogin("")).toBe(0);
  });

  test("without any limit no address is looked at", () => {
    const { limits } = start({
      ...{ addressConnectRate: 0, addressConnectionsMax: 0, addressLoginRate: 0 },
    });

    const key = limits.keyOf({
      get remoteAddress(): string {
        throw new Error("was looked at");
      },
    });

    expect(key).toBe("");
  });
});

describe("createAddressLimits", () => {
  test("as many connections come in as the burst, then at the rate, each address for itself", () => {
    const { clock, limits } = start({ addressConnectionsMax: 0 });
    const ask = (key: string) => limits.refusalOf(key);

    expect([ask("a"), ask("a"), ask("a")]).toEqual([null, null, null]);
    expect(ask("a")).toEqual({ reason: "ip_rate", waitMs: 500 });
    expect(ask("b")).toBeNull();
    void clock.advance(499);
    expect(ask("a")).toEqual({ reason: "ip_rate", waitMs: 1 });
    void clock.advance(1);
    expect(ask("a")).toBeNull();
  });

  test("as many are open as the limit, and one that closes makes room", () => {
    const { limits } = start();
    limits.opened("a");
    expect(limits.refusalOf("a")).toBeNull();
    limits.opened("a");
    expect(limits.refusalOf("a")).toEqual({ reason: "ip_open", waitMs: 0 });
    expect(limits.refusalOf("b")).toBeNull();

    limits.closed("a");

    expect(limits.refusalOf("a")).toBeNull();
    limits.closed("a");
    expect(limits.keys).toBe(2); // of the rates
  });

  test("logins have a rate of their own", () => {
    const { limits } = start();

    expect([0, 1, 2].map(() => limits.takeLogin("a"))).toEqual([0, 0, 1000]);
    expect(limits.refusalOf("a")).toBeNull();
  });

  test("no more addresses are remembered than the bound, however many come", () => {
    const { limits } = start();

    for (let each = 0; each < 1000; each++) {
      limits.refusalOf(`key-${each}`);
      limits.takeLogin(`key-${each}`);
    }

    expect(limits.keys).toBe(100);
  });
});
