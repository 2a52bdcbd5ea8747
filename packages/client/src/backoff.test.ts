import { describe, expect, test } from "bun:test";
import { createBackoff } from "./backoff.ts";
import { createClient } from "./client.ts";
import { createManualClock } from "./manual-clock.ts";

describe("createBackoff", () => {
  test("the ceiling doubles up to the maximum, and starts over", () => {
    const backoff = createBackoff({ firstMs: 100, maxMs: 500, random: () => 0.5 });

    const delays = [backoff.next(), backoff.next(), backoff.next(), backoff.next()];
    backoff.reset();

    expect(delays).toEqual([50, 100, 200, 250]);
    expect(backoff.next()).toBe(50);
  });

  test("a delay is anything from nothing to the ceiling", () => {
    const lowest = createBackoff({ firstMs: 100, maxMs: 500, random: () => 0 });
    const highest = createBackoff({ firstMs: 100, maxMs: 500, random: () => 0.999 });

    expect(lowest.next()).toBe(0);
    expect(highest.next()).toBeCloseTo(99.9);
  });
});

describe("createClient", () => {
  test("attempts at a server that is away follow the backoff, each on the next URL", async () => {
    const clock = createManualClock();
    const dialed: string[] = [];
    const client = createClient({
      urls: ["tcp://a:1", "tcp://b:1"],
      token: async () => "t",
      firstUrl: 1,
      backoff: { firstMs: 1_000, maxMs: 3_000 },
      random: () => 0.5,
      clock,
      openTransport: ({ url }) => {
        dialed.push(`${clock.monotonic()} ${url.hostname}`);
        return Promise.reject(new Error("away"));
      },
    });

    const login = client.connect().catch((error: unknown) => error);
    await clock.advance(6_000);
    const first = dialed.splice(0);
    await clock.advance(30_000);

    expect(first).toEqual(["0 b", "500 a", "1500 b", "3000 a", "4500 b", "6000 a"]);
    expect(await login).toMatchObject({ message: "away" });
    expect(client.state).toBe("idle");
    expect(clock.running).toBe(0);
  });
});
