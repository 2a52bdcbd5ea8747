/**
 * The requests of clients: which symbols there are, and to hear of them or not. A topic for each
 * symbol; the edges keep who has joined it.
 */
import { UpstreamFailure, type UpstreamReply, type UpstreamRequest } from "@holdfast/upstream";
import type { Feed, Quote, Snapshot } from "./feed.ts";
import {
  BodyError,
  decodeSymbols,
  encodeInstruments,
  encodeQuote,
  encodeSnapshots,
  QuotesCommand,
} from "./messages.ts";

export type QuotesCommands = Readonly<
  Record<number, (request: Pick<UpstreamRequest, "body">) => Promise<UpstreamReply>>
>;

/** A push to all who subscribed to the symbol; of those that wait, the newest is enough. */
export interface QuotePush {
  readonly topic: string;
  readonly push: { readonly command: number; readonly body: Uint8Array; readonly key: string };
}

const badRequest = 3; // the status; the codes are those of HTTP [§6]

export function createCommands(feed: Feed): QuotesCommands {
  const everySymbol = feed.instruments.map(({ symbol }) => symbol);
  const instruments = encodeInstruments(feed.instruments);

  return {
    [QuotesCommand.list]: async () => ({ body: instruments }),

    [QuotesCommand.subscribe]: async ({ body }) => {
      const snapshots = symbolsOf(body).map(snapshotOf);
      const join = snapshots.map(({ quote }) => topicOf(quote.symbol));
      return { body: encodeSnapshots(snapshots), join };
    },

    [QuotesCommand.unsubscribe]: async ({ body }) => {
      return {
        leave: symbolsOf(body)
          .map(snapshotOf)
          .map(({ quote }) => topicOf(quote.symbol)),
      };
    },
  };

  /** Each once; none at all means every one. */
  function symbolsOf(body: Uint8Array): readonly string[] {
    try {
      const symbols = new Set(decodeSymbols(body));
      return symbols.size === 0 ? everySymbol : [...symbols];
    } catch (error) {
      if (!(error instanceof BodyError)) throw error;
      throw new UpstreamFailure(badRequest, 400, "invalid request body", { cause: error });
    }
  }

  function snapshotOf(symbol: string): Snapshot {
    const snapshot = feed.snapshot(symbol);
    if (snapshot !== null) return snapshot;
    throw new UpstreamFailure(badRequest, 404, `no such symbol: ${symbol.slice(0, 20)}`);
  }
}

export function pushOf(quote: Quote): QuotePush {
  const { symbol } = quote;
  const push = { command: QuotesCommand.quote, body: encodeQuote(quote), key: symbol };
  return { topic: topicOf(symbol), push };
}

function topicOf(symbol: string): string {
  return `quote.${symbol}`;
}
