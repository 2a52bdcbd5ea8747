/** What becomes of quotes that come in order, merged, late, or for nobody. */
import { expect, test } from "bun:test";
import { createMarket } from "./market.ts";

const kelp = { symbol: "KELP", name: "Kelp Foods", openPrice: 57_85 };

function quote(sequence: number, price: number) {
  return { symbol: "KELP", sequence, price, atMs: 0 };
}

function marketOfKelp() {
  const market = createMarket();
  market.open([kelp]);
  market.restore([{ quote: quote(10, 5800), history: [5700, 5800], intervalMs: 1000 }]);
  const line = market.lines.get("KELP");
  if (line === undefined) throw new Error("KELP has no line");
  return { market, line };
}

test("quote moves the price and the end of the line, and tells which way", () => {
  const { market, line } = marketOfKelp();

  market.take(quote(11, 5790));

  expect(line).toMatchObject({ price: 5790, direction: -1, history: [5700, 5790] });
});

test("gap in the sequence counts as merged, a quote of the past does not count", () => {
  const { market, line } = marketOfKelp();

  market.take(quote(14, 5900));
  market.take(quote(12, 1));

  expect(market.counts).toEqual({ arrived: 1, merged: 3 });
  expect(line.price).toBe(5900);
});

test("second adds to the line, which never grows over three minutes", () => {
  const { market, line } = marketOfKelp();

  for (let second = 0; second < 200; second++) market.tick();

  expect(line.history).toHaveLength(180);
});

test("quote of an unknown symbol changes nothing", () => {
  const { market } = marketOfKelp();

  market.take({ ...quote(1, 1), symbol: "NONE" });

  expect([...market.lines.keys()]).toEqual(["KELP"]);
});
