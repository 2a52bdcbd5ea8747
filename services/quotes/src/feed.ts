/**
 * Prices that move: a seeded random walk for each instrument, drawn back to its open price, so that
 * a feed that runs for a month still looks like a market. It knows no clock; time is told to it.
 */
import type { Instrument } from "./instrument.ts";
import { createRandom } from "./random.ts";

export interface Quote {
  readonly symbol: string;
  readonly price: number; // in hundredths
  /** Rises by one with every quote of the symbol. */
  readonly sequence: number;
  readonly atMs: number; // since 1970
}

/** Where a symbol stands, and how it came there. */
export interface Snapshot {
  readonly quote: Quote;
  /** A price for each `intervalMs`, the oldest first. */
  readonly history: readonly number[];
  readonly intervalMs: number;
}

export interface Feed {
  readonly instruments: readonly Instrument[];
  /** Moves one of the instruments; the time MUST NOT go back. */
  next(atMs: number): Quote;
  /** Null: nobody quotes this symbol. */
  snapshot(symbol: string): Snapshot | null;
}

export interface FeedOptions {
  readonly instruments: readonly Instrument[];
  readonly seed: number;
  /** Where the feed begins; it has a history before that. */
  readonly startMs: number;
}

interface Book {
  readonly instrument: Instrument;
  readonly liveliness: number; // deviation of one step, as a part of the price
  distance: number; // logarithm of price over open price
  quote: Quote;
  readonly history: number[];
}

export const historyLength = 180;
const intervalMs = 1000;
/** What the history before the start is made of. */
const warmStepsPerInterval = 6;
/** Part of the distance that a step takes back: half of it is gone after some 1,400 steps. */
const pull = 0.0005;

/** Throws RangeError without instruments: there would be nothing to quote. */
export function createFeed({ instruments, seed, startMs }: FeedOptions): Feed {
  if (instruments.length === 0) throw new RangeError("Cannot quote: there are no instruments");
  const random = createRandom(seed);
  const books = instruments.map((instrument) => openBook(instrument));
  const bySymbol = new Map(books.map((book) => [book.instrument.symbol, book]));
  let sampledMs = startMs - historyLength * intervalMs;
  warmUp();

  return { instruments, next, snapshot };

  function next(atMs: number): Quote {
    sample(atMs);
    const book = books[Math.floor(random.uniform() * books.length)]!; // the index is in bounds
    return move(book, atMs);
  }

  function snapshot(symbol: string): Snapshot | null {
    const book = bySymbol.get(symbol);
    return book === undefined
      ? null
      : { quote: book.quote, history: [...book.history], intervalMs };
  }

  function openBook(instrument: Instrument): Book {
    const { symbol, openPrice: price } = instrument;
    const liveliness = 0.0003 + 0.0004 * random.uniform();
    const quote = { symbol, price, sequence: 0, atMs: startMs };
    return { instrument, liveliness, distance: 0, quote, history: [] };
  }

  function move(book: Book, atMs: number): Quote {
    const { symbol, openPrice } = book.instrument;
    book.distance += book.liveliness * random.normal() - pull * book.distance;
    const price = Math.max(1, Math.round(openPrice * Math.exp(book.distance)));
    book.quote = { symbol, price, sequence: book.quote.sequence + 1, atMs };
    return book.quote;
  }

  function warmUp(): void {
    for (let interval = 0; interval < historyLength; interval++) {
      const atMs = startMs - (historyLength - interval - 1) * intervalMs;
      for (const book of books) {
        for (let step = 0; step < warmStepsPerInterval; step++) move(book, atMs);
      }
      sample(atMs);
    }
  }

  /** Adds to the histories what each interval ended with; after a long silence only the newest. */
  function sample(atMs: number): void {
    const missed = Math.floor((atMs - sampledMs) / intervalMs);
    for (let count = Math.min(missed, historyLength); count > 0; count--) {
      for (const { history, quote } of books) {
        history.push(quote.price);
        if (history.length > historyLength) history.shift();
      }
    }
    if (missed > 0) sampledMs += missed * intervalMs;
  }
}
