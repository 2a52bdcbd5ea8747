/** What a client knows of prices: the newest of each symbol, and the last three minutes. */
import type { Quote, Snapshot } from "./feed.ts";
import type { Instrument } from "./instrument.ts";

export interface Line {
  readonly instrument: Instrument;
  price: number;
  sequence: number;
  /** Which way the price went last. */
  direction: -1 | 0 | 1;
  /** A price for each second; the last one still moves. */
  history: number[];
  /** Has moved since it was drawn. */
  isFresh: boolean;
}

export interface Market {
  readonly lines: ReadonlyMap<string, Line>;
  /** Quotes that have arrived, and quotes that were merged into a newer one before they could. */
  readonly counts: { readonly arrived: number; readonly merged: number };
  open(instruments: readonly Instrument[]): void;
  /** Replaces what is known: between two connections quotes were missed. */
  restore(snapshots: readonly Snapshot[]): void;
  take(quote: Quote): void;
  /** A second has passed. */
  tick(): void;
}

const historyLength = 180;

export function createMarket(): Market {
  const lines = new Map<string, Line>();
  const counts = { arrived: 0, merged: 0 };

  return { lines, counts, open, restore, take, tick };

  function open(instruments: readonly Instrument[]): void {
    for (const instrument of instruments) {
      if (lines.has(instrument.symbol)) continue;
      lines.set(instrument.symbol, {
        instrument,
        price: instrument.openPrice,
        sequence: 0,
        direction: 0,
        history: [],
        isFresh: true,
      });
    }
  }

  function restore(snapshots: readonly Snapshot[]): void {
    for (const { quote, history } of snapshots) {
      const line = lines.get(quote.symbol);
      if (line === undefined) continue;
      line.price = quote.price;
      line.sequence = quote.sequence;
      line.direction = 0;
      line.history = history.slice(-historyLength);
      line.isFresh = true;
    }
  }

  function take(quote: Quote): void {
    const line = lines.get(quote.symbol);
    // One that overtook the snapshot on its way is older than what is known.
    if (line === undefined || quote.sequence <= line.sequence) return;
    counts.arrived += 1;
    if (line.sequence > 0) counts.merged += quote.sequence - line.sequence - 1;
    line.direction = Math.sign(quote.price - line.price) as -1 | 0 | 1; // of whole numbers
    line.price = quote.price;
    line.sequence = quote.sequence;
    if (line.history.length > 0) line.history[line.history.length - 1] = quote.price;
    line.isFresh = true;
  }

  function tick(): void {
    for (const line of lines.values()) {
      line.history.push(line.price);
      if (line.history.length > historyLength) line.history.shift();
    }
  }
}
