/** What is written is read again, and what is not a message is refused. */
import { describe, expect, test } from "bun:test";
import { createFeed } from "./feed.ts";
import { catalogue } from "./instrument.ts";
import {
  BodyError,
  decodeInstruments,
  decodeQuote,
  decodeSnapshots,
  decodeSymbols,
  encodeInstruments,
  encodeQuote,
  encodeSnapshots,
  encodeSymbols,
} from "./messages.ts";

const startMs = 1_700_000_000_000;

describe("messages", () => {
  test("quote, instruments, symbols and snapshots come back as they were", () => {
    const feed = createFeed({ instruments: catalogue, seed: 1, startMs });
    const quote = feed.next(startMs);
    const snapshots = ["KELP", "REEF"].flatMap((symbol) => feed.snapshot(symbol) ?? []);

    expect(decodeQuote(encodeQuote(quote))).toEqual(quote);
    expect(decodeInstruments(encodeInstruments(catalogue))).toEqual(catalogue);
    expect(decodeSymbols(encodeSymbols(["KELP", "REEF"]))).toEqual(["KELP", "REEF"]);
    expect(decodeSnapshots(encodeSnapshots(snapshots))).toEqual(snapshots);
  });

  test("quote takes some twenty bytes", () => {
    const quote = { symbol: "KELP", price: 57_85, sequence: 1000, atMs: startMs };

    expect(encodeQuote(quote)).toHaveLength(19);
  });

  test.each([
    ["decodeQuote", decodeQuote],
    ["decodeInstruments", decodeInstruments],
    ["decodeSymbols", decodeSymbols],
    ["decodeSnapshots", decodeSnapshots],
  ])("%s refuses bytes that are no message", (_, decode) => {
    expect(() => decode(Uint8Array.of(0x0a, 0x7f))).toThrow(BodyError);
  });

  test("snapshot without a quote is refused", () => {
    expect(() => decodeSnapshots(Uint8Array.of(0x0a, 0))).toThrow(BodyError);
  });
});
