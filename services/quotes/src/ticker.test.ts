/** How many quotes come in which time, and after a stall. */
import { expect, test } from "bun:test";
import { createManualClock } from "@holdfast/runtime";
import { createFeed, type Quote } from "./feed.ts";
import { catalogue } from "./instrument.ts";
import { createTicker } from "./ticker.ts";

const startMs = 1_700_000_000_000;

function stage(quotesPerSecond: number) {
  const clock = createManualClock(startMs);
  const feed = createFeed({ instruments: catalogue, seed: 1, startMs });
  const quotes: Quote[] = [];
  const publish = (quote: Quote) => void quotes.push(quote);
  return { clock, quotes, ticker: createTicker({ feed, quotesPerSecond, clock, publish }) };
}

test.each([1, 80, 1000])("%d quotes come in each second", async (rate) => {
  const { clock, quotes, ticker } = stage(rate);

  ticker.start();
  await clock.advance(10_000);

  expect(Math.abs(quotes.length - 10 * rate)).toBeLessThanOrEqual(1);
  expect(quotes.at(-1)?.atMs).toBeGreaterThan(startMs + 8000);
});

test("ticker that was stopped says nothing more, and leaves no timer", async () => {
  const { clock, quotes, ticker } = stage(100);
  ticker.start();
  await clock.advance(100);
  const before = quotes.length;

  ticker.stop();
  ticker.stop();
  await clock.advance(1000);

  expect(quotes).toHaveLength(before);
  expect(clock.waiting).toBe(0);
});

test("ticker that was started twice ticks once", async () => {
  const { clock, quotes, ticker } = stage(100);

  ticker.start();
  ticker.start();
  await clock.advance(1000);

  expect(quotes).toHaveLength(100);
});
