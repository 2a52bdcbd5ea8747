import { describe, expect, test } from "bun:test";
import { takeInflated } from "./inflate-rate.ts";
import type { Bucket } from "./request-rates.ts";

const settings = { inflateRate: 1000, inflateBurst: 3000 };

function createPeer(): { inflated: Bucket | null } {
  return { inflated: null };
}

describe("takeInflated", () => {
  test("burst is let in to the byte, one more is too much", () => {
    const [exact, more] = [createPeer(), createPeer()];

    expect(takeInflated(exact, 2999, settings, 5)).toBe(true);
    expect(takeInflated(exact, 1, settings, 5)).toBe(true);
    expect(takeInflated(more, 3001, settings, 5)).toBe(false);
  });

  test("rate fills it again, a rest of any length no further than the burst", () => {
    const peer = createPeer();
    takeInflated(peer, 3000, settings, 0);

    expect(takeInflated(peer, 100, settings, 100)).toBe(true); // 100 bytes in 100 ms
    expect(takeInflated(peer, 3000, settings, 1_000_000)).toBe(true);
    expect(takeInflated(peer, 1, settings, 1_000_000)).toBe(false);
  });

  test("rate of 0 is no limit, and keeps no bucket", () => {
    const peer = createPeer();

    expect(takeInflated(peer, 1e12, { inflateRate: 0, inflateBurst: 1 }, 0)).toBe(true);
    expect(peer.inflated).toBeNull();
  });
});
