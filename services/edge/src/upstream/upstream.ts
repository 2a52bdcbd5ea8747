/**
 * The seam to whoever answers requests of command 4 to 255. The edge passes a body on and back
 * without looking at it.
 */
import type { Metadata } from "@holdfast/protocol";
import type { Seat, Session } from "@holdfast/session";

export interface UpstreamCall {
  readonly command: number;
  /** The upstream may keep it: it shares no memory with what a socket reads next. */
  readonly body: Uint8Array;
  readonly metadata: Metadata;
  readonly requestId: number;
  /** What is left of the requester's patience, 1 to 60,000. */
  readonly timeoutMs: number;
  readonly session: Session;
  /** The return address for pushes. */
  readonly seat: Seat;
  readonly platform: number;
  readonly version: 1 | 2;
  /** Raised when the deadline is over or the connection has gone; made when first asked for. */
  readonly signal: AbortSignal;
}

export interface UpstreamReply {
  readonly status: number; // 0 to 255
  readonly body: Uint8Array;
  readonly metadata?: Metadata;
  /** Topics the asking connection joins and leaves, before the response is written. */
  readonly join?: readonly string[];
  readonly leave?: readonly string[];
}

/** Where a request of this command goes, by listener and platform. Its name is a metric's label. */
export interface Route {
  readonly name: string; // from the configuration, never from the wire
}

/**
 * unavailable: nobody listens on the route just now. unfit: what came back is no answer, or more
 * than can be carried. too-large: the request does not fit what carries it.
 */
export type UpstreamFault = "unavailable" | "unfit" | "too-large" | "timeout";

export class UpstreamError extends Error {
  readonly fault: UpstreamFault;

  constructor(fault: UpstreamFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "UpstreamError";
    this.fault = fault;
  }
}

export interface Upstream {
  /** False: nobody answers this command, so the requester gets 3 / 404 at once. */
  hasRoute(command: number): boolean;
  /** A throw is our fault: the requester gets 7 / 500. A late reply is dropped by the caller. */
  request(call: UpstreamCall): Promise<UpstreamReply>;
}
