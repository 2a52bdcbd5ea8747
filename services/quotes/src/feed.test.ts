/** The feed: the same for the same seed, alive, bounded, and with a past. */
import { describe, expect, test } from "bun:test";
import { createFeed, historyLength, type Quote } from "./feed.ts";
import { catalogue } from "./instrument.ts";

const startMs = 1_700_000_000_000;

function run(seed: number, steps: number, stepMs = 10): readonly Quote[] {
  const feed = createFeed({ instruments: catalogue, seed, startMs });
  return Array.from({ length: steps }, (_, index) => feed.next(startMs + index * stepMs));
}

describe("createFeed", () => {
  test("feed is the same for the same seed, and another for another", () => {
    const first = run(7, 500);

    expect(run(7, 500)).toEqual(first);
    expect(run(8, 500)).not.toEqual(first);
  });

  test("prices are whole hundredths and stay near their open price for 100,000 quotes", () => {
    const openPrices = new Map(catalogue.map(({ symbol, openPrice }) => [symbol, openPrice]));

    const ratios = run(3, 100_000).map(({ symbol, price }) => {
      expect(Number.isInteger(price)).toBe(true);
      return price / (openPrices.get(symbol) ?? 0);
    });

    expect(Math.min(...ratios.slice(-1000))).toBeGreaterThan(0.8);
    expect(Math.max(...ratios.slice(-1000))).toBeLessThan(1.25);
    expect(new Set(ratios).size).toBeGreaterThan(1000);
  });

  test("sequence of a symbol rises by one, and every symbol has its turn", () => {
    const last = new Map<string, number>();

    for (const { symbol, sequence } of run(5, 2000)) {
      const before = last.get(symbol);
      if (before !== undefined) expect(sequence).toBe(before + 1);
      last.set(symbol, sequence);
    }

    expect([...last.keys()].sort()).toEqual(catalogue.map(({ symbol }) => symbol));
  });

  test("price never falls below one hundredth", () => {
    const instruments = [{ symbol: "DUST", name: "Dust", openPrice: 1 }];
    const feed = createFeed({ instruments, seed: 1, startMs });

    const prices = Array.from({ length: 1000 }, () => feed.next(startMs).price);

    expect(new Set(prices)).toEqual(new Set([1]));
  });

  test("feed without instruments is refused", () => {
    expect(() => createFeed({ instruments: [], seed: 1, startMs })).toThrow(RangeError);
  });
});

describe("snapshot", () => {
  test("snapshot has a full history from the start, which ends with the present price", () => {
    const feed = createFeed({ instruments: catalogue, seed: 1, startMs });

    const snapshot = feed.snapshot("KELP");

    expect(snapshot?.history).toHaveLength(historyLength);
    expect(snapshot?.history.at(-1)).toBe(snapshot?.quote.price);
    expect(snapshot?.quote.atMs).toBe(startMs);
  });

  test("history goes on by one price each interval, and never grows", () => {
    const feed = createFeed({ instruments: catalogue, seed: 1, startMs });
    const before = feed.snapshot("KELP")?.history ?? [];

    feed.next(startMs + 999);
    const still = feed.snapshot("KELP")?.history;
    feed.next(startMs + 1000);
    const after = feed.snapshot("KELP")?.history;

    expect(still).toEqual(before);
    expect(after?.slice(0, -1)).toEqual(before.slice(1));
    expect(after).toHaveLength(historyLength);
  });

  test("history after a day of silence is one of the last interval, at once", () => {
    const feed = createFeed({ instruments: catalogue, seed: 1, startMs });
    const { price } = feed.snapshot("KELP")?.quote ?? { price: 0 };

    feed.next(startMs + 86_400_000);

    expect(new Set(feed.snapshot("KELP")?.history)).toEqual(new Set([price]));
  });

  test("snapshot of a symbol that nobody quotes is null", () => {
    const feed = createFeed({ instruments: catalogue, seed: 1, startMs });

    expect(feed.snapshot("NONE")).toBeNull();
  });
});
