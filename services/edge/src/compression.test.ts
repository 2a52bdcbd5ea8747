import { describe, expect, test } from "bun:test";
import { createCompression } from "./compression.ts";

const body = new Uint8Array(2000); // zeros, which become fewer

/** Each look at the clock is so much later than the one before; compressing takes one look. */
function scene(options: { cpuPercent: number; lookMs: number; gzipMinBytes?: number }) {
  const state = { nowMs: 0, skipped: 0 };
  const compress = createCompression({
    gzipMinBytes: options.gzipMinBytes ?? 1024,
    cpuPercent: options.cpuPercent,
    now: () => {
      state.nowMs += options.lookMs;
      return state.nowMs;
    },
    skipped: () => {
      state.skipped += 1;
    },
  });
  return {
    state,
    compress,
    times: (count: number) => Array.from({ length: count }, () => compress(body)),
  };
}

function done(results: readonly (Uint8Array | null)[]): number {
  return results.filter((result) => result !== null).length;
}

describe("createCompression", () => {
  test("body from the limit on is compressed, a shorter one is not, and is not counted", () => {
    const { state, compress } = scene({ cpuPercent: 20, lookMs: 0, gzipMinBytes: 1000 });

    expect(compress(new Uint8Array(999))).toBeNull();
    expect(compress(new Uint8Array(1000))?.length).toBeLessThan(1000);
    expect(state.skipped).toBe(0);
  });

  test("body that would not become smaller leaves as it is", () => {
    const { compress } = scene({ cpuPercent: 20, lookMs: 0 });

    expect(compress(crypto.getRandomValues(new Uint8Array(2000)))).toBeNull();
  });

  test("compressing that would take all the time gets its share of it", () => {
    const { state, times } = scene({ cpuPercent: 20, lookMs: 1 });
    expect(done(times(4))).toBe(4); // what was not used before is good for 2 ms
    const startMs = state.nowMs;

    const later = done(times(1000));

    // Each took a millisecond, by the clock between two looks.
    expect(later / (state.nowMs - startMs)).toBeWithin(0.19, 0.22);
    expect(state.skipped).toBe(1000 - later);
  });

  test("rest of any length is good for the bound, and no more", () => {
    const { state, times } = scene({ cpuPercent: 20, lookMs: 1 });
    times(100);

    state.nowMs += 3_600_000;
    const burst = times(5);

    // Of 2 ms each takes 1, and 0.4 come back until the next.
    expect(burst.map((result) => result !== null)).toEqual([...Array(4).fill(true), false]);
  });

  test("all of the time is no bound, none of it compresses nothing", () => {
    expect(done(scene({ cpuPercent: 100, lookMs: 10 }).times(1000))).toBe(1000);
    expect(done(scene({ cpuPercent: 0, lookMs: 10 }).times(10))).toBe(0);
  });

  test("body that fits into a packet only when compressed is compressed whatever it takes", () => {
    const { state, compress } = scene({ cpuPercent: 0, lookMs: 10 });

    expect(compress(new Uint8Array(16_777_216))).not.toBeNull();
    expect(compress(new Uint8Array(16_777_215))).toBeNull();
    expect(state.skipped).toBe(1);
  });
});
