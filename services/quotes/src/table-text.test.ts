/** The table's lines, with and without colour. */
import { expect, test } from "bun:test";
import { createMarket } from "./market.ts";
import { sparkText, tableText } from "./table-text.ts";

function marketOfKelp() {
  const market = createMarket();
  market.open([{ symbol: "KELP", name: "Kelp Foods", openPrice: 50_00 }]);
  const quote = { symbol: "KELP", price: 50_00, sequence: 1, atMs: 0 };
  market.restore([{ quote, history: [49_00, 50_00], intervalMs: 1000 }]);
  market.take({ ...quote, price: 51_00, sequence: 2 });
  return market;
}

const facts = { account: "bob", standing: "on edge-1", roundTripMs: 0.84 };

test("table has a head and a line for each symbol", () => {
  expect(tableText(marketOfKelp().lines.values(), facts, false)).toEqual([
    "Quotes for bob, on edge-1 · 0.8 ms",
    "",
    "KELP     Kelp Foods               51.00   +2.00%  ▁█",
  ]);
});

test("table paints what rises green where a terminal shows it", () => {
  const [, , row] = tableText(marketOfKelp().lines.values(), facts, true);

  expect(row).toContain("\x1b[32m     51.00\x1b[0m");
});

test("spark shows the last thirty prices, and a flat line in the middle", () => {
  expect(sparkText([5, 5, 5])).toBe("▄▄▄");
  expect(sparkText(Array.from({ length: 100 }, (_, index) => index))).toHaveLength(30);
  expect(sparkText([])).toBe("");
});
