/** The live table as text: a line for each symbol, in colours where a terminal shows them. */
import { changeText, priceText } from "./format.ts";
import type { Line } from "./market.ts";

export interface TableFacts {
  readonly account: string;
  /** Where the client is at, as `on edge-1` or `moving`. */
  readonly standing: string;
  readonly roundTripMs: number | null;
}

const bars = "▁▂▃▄▅▆▇█";
const sparkWidth = 30;

export function tableText(
  lines: Iterable<Line>,
  facts: TableFacts,
  hasColour: boolean,
): readonly string[] {
  const trip = facts.roundTripMs === null ? "" : ` · ${facts.roundTripMs.toFixed(1)} ms`;
  const paint = hasColour ? painted : (text: string) => text;
  return [
    `Quotes for ${facts.account}, ${facts.standing}${trip}`,
    "",
    ...[...lines].map((line) => rowText(line, paint)),
  ];
}

function rowText(line: Line, paint: (text: string, direction: number) => string): string {
  const { symbol, name, openPrice } = line.instrument;
  const price = priceText(line.price).padStart(10);
  const change = changeText(line.price, openPrice).padStart(9);
  const moved = paint(price, line.direction) + paint(change, line.price - openPrice);
  return `${symbol.padEnd(9)}${name.slice(0, 20).padEnd(20)}${moved}  ${sparkText(line.history)}`;
}

/** The end of the history, in eight heights. */
export function sparkText(history: readonly number[]): string {
  const values = history.slice(-sparkWidth);
  const low = Math.min(...values);
  const span = Math.max(...values) - low;
  const heightOf = (value: number) => (span === 0 ? 3 : Math.round((7 * (value - low)) / span));
  return values.map((value) => bars[heightOf(value)]).join("");
}

function painted(text: string, direction: number): string {
  if (direction === 0) return text;
  return `\x1b[${direction > 0 ? 32 : 31}m${text}\x1b[0m`;
}
