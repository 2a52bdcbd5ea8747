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
}

export interface Upstream {
  /** False: nobody answers this command, so the requester gets 3 / 404 at once. */
  hasRoute(command: number): boolean;
  /** A throw is our fault: the requester gets 7 / 500. A late reply is dropped by the caller. */
  request(call: UpstreamCall): Promise<UpstreamReply>;
}
