/**
 * Messages of one subscription, taken out of what was read from NATS, right where they lie. The
 * library's parser makes some fifteen objects of each: for a gateway, most of the garbage that an
 * answer leaves. What is not for such a subscription, or does not lie there whole, goes to the
 * library's parser, which is handed the rest of one message at a time, so that it is soon back at
 * the beginning of another.
 */
import type { Msg, NatsConnection, NatsError } from "nats";
import { Parser, State } from "nats/lib/nats-base-client/parser.js";

/**
 * The number at the end of the subject, NaN if there is none; headers, if any, from `headersAt` to
 * `bodyAt`, the body from there to `end`. The bytes are lent.
 */
export type Take = (
  number: number,
  bytes: Uint8Array,
  headersAt: number,
  bodyAt: number,
  end: number,
) => void;

export interface TakeOptions {
  /** Ends in `.*`. */
  readonly subject: string;
  readonly take: Take;
  readonly refused: (error: NatsError) => void;
  /** `take` has thrown; that message is lost, and the next ones come. */
  readonly failed: (error: unknown) => void;
}

/** What the library hides; tests hold it to it. */
interface Protocol {
  inMsgs: number;
  inBytes: number;
}
interface Parsed {
  readonly _msg: { readonly hdr: number };
  readonly _rdata: Uint8Array;
}

type Takes = Map<number, Take>; // by the number of the subscription

const takesOf = new WeakMap<object, Takes>();
const mended = new WeakSet<object>();

/** Returns what ends it. */
export function takeMessages(client: NatsConnection, options: TakeOptions): () => void {
  const { subject, take, refused, failed } = options;
  const { protocol } = client as unknown as { readonly protocol: Protocol };
  const subscription = client.subscribe(subject, {
    callback(error, message) {
      if (error) refused(error);
      else takeParsed(safely, message);
    },
  });
  mendParser();
  const takes: Takes = takesOf.get(protocol) ?? new Map();
  takesOf.set(protocol, takes.set(subscription.getID(), safely));
  return () => {
    takes.delete(subscription.getID());
    subscription.unsubscribe();
  };

  /** A throw within the library would end its reading. */
  function safely(
    number: number,
    bytes: Uint8Array,
    headersAt: number,
    bodyAt: number,
    end: number,
  ): void {
    try {
      take(number, bytes, headersAt, bodyAt, end);
    } catch (error) {
      failed(error);
    }
  }
}

/** One that came in pieces. */
function takeParsed(take: Take, message: Msg): void {
  const { _msg, _rdata } = message as unknown as Parsed;
  const subject = Buffer.from(message.subject);
  take(numberAt(subject, subject.length), _rdata, 0, Math.max(0, _msg.hdr), _rdata.length);
}

function mendParser(): void {
  const { prototype } = Parser;
  if (mended.has(prototype)) return;
  mended.add(prototype);
  const { parse } = prototype;

  prototype.parse = function (this: Parser, chunk) {
    const takes = takesOf.get(this.dispatcher);
    if (takes === undefined || takes.size === 0) parse.call(this, chunk);
    else read(this, takes, chunk, parse);
  };
}

type Parse = (this: Parser, chunk: Uint8Array) => void;

function read(parser: Parser, takes: Takes, chunk: Uint8Array, parse: Parse): void {
  let at = 0;
  while (at < chunk.length) {
    const start = at;
    if (parser.state === State.OP_START) {
      at = takeAll(parser, takes, chunk, at, parse);
    } else {
      at = Math.min(chunk.length, restOf(parser, chunk, at));
      parse.call(parser, chunk.subarray(start, at));
    }
  }
}

/** Where the message, or line, that the library's parser is in the middle of ends. */
function restOf({ state, ma, msgBuf }: Parser, chunk: Uint8Array, at: number): number {
  if (state === State.MSG_PAYLOAD) return at + Math.max(0, ma.size - (msgBuf?.length ?? 0)) + 2;
  const lineEnd = chunk.indexOf(newline, at);
  return lineEnd < 0 ? chunk.length : lineEnd + 1;
}

/** Takes what is there whole, and hands all between to the library. Returns where it stopped. */
function takeAll(
  parser: Parser,
  takes: Takes,
  chunk: Uint8Array,
  from: number,
  parse: Parse,
): number {
  const protocol = parser.dispatcher as unknown as Protocol;
  let at = from;
  let others = from; // what is not taken begins here
  while (at < chunk.length && measure(chunk, at)) {
    const take = takes.get(line.sid);
    const { end } = line;
    if (take !== undefined) {
      if (others < at) parse.call(parser, chunk.subarray(others, at));
      const { subjectEnd, headersAt, bodyAt } = line;
      protocol.inMsgs++;
      protocol.inBytes += end - 2 - headersAt;
      take(numberAt(chunk, subjectEnd), chunk, headersAt, bodyAt, end - 2);
      others = end;
    }
    at = end;
  }
  if (at >= chunk.length && others === at) return at;
  // What stopped it is no message, or is not all here: one line for the library, if there is one.
  const lineEnd = at < chunk.length ? chunk.indexOf(newline, at) : -1;
  const end = lineEnd < 0 ? chunk.length : lineEnd + 1;
  parse.call(parser, chunk.subarray(others, end));
  return end;
}

const newline = 0x0a;
const carriageReturn = 0x0d;
const space = 0x20;

/** Of the message that was measured last: an object for each would be garbage. */
const line = { sid: 0, subjectEnd: 0, headersAt: 0, bodyAt: 0, end: 0 };

/**
 * `MSG subject sid [reply] bytes`, or `HMSG subject sid [reply] header-bytes bytes`, and then the
 * bytes. False: it is something else, or not all there.
 */
function measure(chunk: Uint8Array, start: number): boolean {
  const hasHeaders = chunk[start] === 0x48; // H
  const nameAt = hasHeaders ? start + 1 : start;
  if (chunk[nameAt] !== 0x4d || chunk[nameAt + 3] !== space) return false; // MSG
  let words = 0;
  let value = 0;
  let last = 0;
  let oneBefore = 0;
  for (let at = nameAt + 4; at < chunk.length; at++) {
    const byte = chunk[at]!; // below the length
    if (byte !== space && byte !== carriageReturn) {
      if (words > 0) value = value * 10 + byte - 0x30; // a reply's subject becomes nonsense
      continue;
    }
    words++;
    if (words === 1) line.subjectEnd = at;
    if (words === 2) line.sid = value;
    oneBefore = last;
    last = value;
    value = 0;
    if (byte === space) continue;
    if (words < (hasHeaders ? 4 : 3)) return false;
    line.headersAt = at + 2;
    line.bodyAt = at + 2 + (hasHeaders ? oneBefore : 0);
    line.end = at + 2 + last + 2;
    return line.bodyAt <= line.end - 2 && line.end <= chunk.length;
  }
  return false;
}

/** The last word of a subject as a number. */
function numberAt(bytes: Uint8Array, subjectEnd: number): number {
  let number = 0;
  let factor = 1;
  for (let at = subjectEnd - 1; at >= 0; at--) {
    const digit = bytes[at]! - 0x30; // below the end
    if (digit === dot && factor > 1) return number;
    if (digit < 0 || digit > 9 || factor > 1e15) return Number.NaN;
    number += digit * factor;
    factor *= 10;
  }
  return Number.NaN;
}

const dot = 0x2e - 0x30;
