/**
 * Bodies of the quotes to plain values and back, for the upstream, the terminal and the browser
 * alike. This file alone knows the protobuf library. Every decoder throws BodyError.
 */
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import type { Quote, Snapshot } from "./feed.ts";
import {
  ListResponseSchema,
  type Quote as QuoteMessage,
  QuoteSchema,
  SubscribeRequestSchema,
  SubscribeResponseSchema,
} from "./gen/quotes_pb.ts";
import type { Instrument } from "./instrument.ts";

/** A request with an empty body of UnsubscribeRequest or SubscribeRequest means every symbol. */
export const QuotesCommand = { list: 20, subscribe: 21, unsubscribe: 22, quote: 120 } as const;

/** Bytes that are not the message they should be. */
export class BodyError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "BodyError";
  }
}

export function encodeQuote(quote: Quote): Uint8Array {
  return toBinary(QuoteSchema, messageOf(quote));
}

export function decodeQuote(body: Uint8Array): Quote {
  return quoteOf(decode(QuoteSchema, body));
}

export function encodeInstruments(instruments: readonly Instrument[]): Uint8Array {
  return toBinary(
    ListResponseSchema,
    create(ListResponseSchema, { instruments: [...instruments] }),
  );
}

export function decodeInstruments(body: Uint8Array): readonly Instrument[] {
  const { instruments } = decode(ListResponseSchema, body);
  return instruments.map(({ symbol, name, openPrice }) => ({ symbol, name, openPrice }));
}

/** Of SubscribeRequest and UnsubscribeRequest, which are the same on the wire. */
export function encodeSymbols(symbols: readonly string[]): Uint8Array {
  return toBinary(
    SubscribeRequestSchema,
    create(SubscribeRequestSchema, { symbols: [...symbols] }),
  );
}

export function decodeSymbols(body: Uint8Array): readonly string[] {
  return decode(SubscribeRequestSchema, body).symbols;
}

export function encodeSnapshots(snapshots: readonly Snapshot[]): Uint8Array {
  const message = create(SubscribeResponseSchema, {
    snapshots: snapshots.map(({ quote, history, intervalMs }) => ({
      quote: messageOf(quote),
      history: [...history],
      intervalMs,
    })),
  });
  return toBinary(SubscribeResponseSchema, message);
}

export function decodeSnapshots(body: Uint8Array): readonly Snapshot[] {
  return decode(SubscribeResponseSchema, body).snapshots.map(({ quote, history, intervalMs }) => {
    if (quote === undefined) throw new BodyError("Cannot read a snapshot: it has no quote");
    return { quote: quoteOf(quote), history, intervalMs };
  });
}

function messageOf({ symbol, price, sequence, atMs }: Quote): QuoteMessage {
  return create(QuoteSchema, { symbol, price, sequence, atMs: BigInt(atMs) });
}

function quoteOf({ symbol, price, sequence, atMs }: QuoteMessage): Quote {
  return { symbol, price, sequence, atMs: Number(atMs) };
}

function decode<Desc extends DescMessage>(schema: Desc, body: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(schema, body);
  } catch (error) {
    throw new BodyError(`Cannot read ${schema.name} of ${body.length} bytes`, { cause: error });
  }
}
