/** A client's request as a handler sees it: the headers of a message, read and checked. */
import type { Msg } from "nats";
import { HeaderError, parseSeat, readForm, readNumber, readText } from "./headers.ts";

export interface UpstreamRequest {
  readonly command: number; // 4 to 255
  readonly body: Uint8Array;
  readonly account: string;
  /** The account's name in `hf.event` subjects. */
  readonly tag: string;
  /** Stable over reconnects, and no secret. */
  readonly session: string;
  /** Rises with each login and reconnect of the account: a lower one comes from the past. */
  readonly generation: number;
  /** `<node>/<connection>`: where to push, for as long as this connection lives. */
  readonly seat: string;
  readonly requestId: number;
  /** When nobody waits any more; milliseconds since 1970, by this machine's clock as it was set. */
  readonly deadlineMs: number;
  /** Until then, in whole milliseconds, whatever is done to the clock. */
  remainingMs(): number;
  /** Raised at the deadline, and when the upstream stops before the handler has finished. */
  readonly signal: AbortSignal;
  readonly listener: string; // "tcp" or "ws"
  readonly platform: number;
  readonly version: number; // 1 or 2
  /** `accept-language` of the login; empty: not given. */
  readonly language: string;
  /** Of the packet, keys in lower case; version 2 only. */
  readonly metadata: Readonly<Record<string, string>>;
  /** What the issuer of the token said of the account: the client cannot change it. */
  readonly identity: Readonly<Record<string, string>>;
}

/**
 * By how much it came after its deadline, in milliseconds, by the clocks of the edge and of this
 * machine; below zero: it came in time. Throws HeaderError for what is no number.
 */
export function overdueMs({ headers }: Msg): number {
  const never = Number.MAX_SAFE_INTEGER;
  return Date.now() - (headers ? readNumber(headers, "Holdfast-Deadline", never) : never);
}

/** Throws HeaderError for a message that no edge has sent. */
export function readRequest(message: Msg, signal: AbortSignal): UpstreamRequest {
  const { headers } = message;
  if (!headers) throw new HeaderError("the headers", "those of a request");
  const timeoutMs = readNumber(headers, "Holdfast-Timeout");
  const seat = headers.get("Holdfast-Seat");
  try {
    parseSeat(seat);
  } catch {
    throw new HeaderError("Holdfast-Seat", "<node>/<connection>");
  }
  // The time that is left, and not the deadline: clocks of two machines differ, and are set.
  const endMs = performance.now() + timeoutMs;
  return {
    command: readNumber(headers, "Holdfast-Command"),
    body: message.data,
    account: readText(headers, "Holdfast-Account"),
    tag: headers.get("Holdfast-Tag"),
    session: headers.get("Holdfast-Session"),
    generation: readNumber(headers, "Holdfast-Generation"),
    seat,
    requestId: readNumber(headers, "Holdfast-Request"),
    deadlineMs: Date.now() + timeoutMs,
    remainingMs: () => Math.max(0, Math.floor(endMs - performance.now())),
    signal,
    listener: headers.get("Holdfast-Listener"),
    platform: readNumber(headers, "Holdfast-Platform", 0),
    version: readNumber(headers, "Holdfast-Version", 1),
    language: readText(headers, "Holdfast-Language"),
    metadata: readForm(headers, "Holdfast-Metadata"),
    identity: readForm(headers, "Holdfast-Identity"),
  };
}
