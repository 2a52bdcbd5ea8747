/**
 * The seam to whoever answers requests of command 4 to 255. The edge passes a body on and back
 * without looking at it.
 */
import type { Metadata } from "@holdfast/protocol";
import type { Seat, Session } from "@holdfast/session";

export interface UpstreamCall {
  /** What `route` found for it. */
  readonly route: Route;
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
  readonly listener: "tcp" | "ws";
  readonly platform: number;
  readonly version: 1 | 2;
  /** Raised when the deadline is over or the connection has gone; made when first asked for. */
  readonly signal: AbortSignal;
  /** Stays with the connection, for what is the same in all its calls; null until it is set. */
  rendered: Uint8Array | null;
  /** For the upstream that was asked, to know the call again; 0 at first. */
  number: number;
  /**
   * The upstream calls one of these when it is done; what comes after the first is dropped. The
   * body is what `bytes` have from `start` to `end`, and is copied before the call returns.
   */
  answered(
    status: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    extras: ReplyExtras | null,
  ): void;
  /** An UpstreamError for what is part of the game; anything else is our fault, and gets 7/500. */
  failed(error: unknown): void;
}

/** What few replies have. */
export interface ReplyExtras {
  readonly metadata?: Metadata;
  /** Topics the asking connection joins and leaves, before the response is written. */
  readonly join?: readonly string[];
  readonly leave?: readonly string[];
}

export interface UpstreamReply extends ReplyExtras {
  readonly status: number; // 0 to 255
  readonly body: Uint8Array;
}

/** Where a request of a command goes, by listener and platform. Its name is a metric's label. */
export interface Route {
  readonly name: string; // from the configuration, never from the wire
  /** For requests that state no timeout, and the most for those that do; null: the node's own. */
  readonly timeoutMs: number | null;
}

/**
 * unavailable: nobody listens on the route just now. unfit: what came back is no answer, or more
 * than can be carried. too-large: the request does not fit what carries it.
 */
export type UpstreamFault = "unavailable" | "unfit" | "too-large";

/**
 * late: nobody waits for it any more. duplicate: it has been answered. unknown: it answers nothing
 * that was asked.
 */
export type DroppedReply = "late" | "duplicate" | "unknown";

export class UpstreamError extends Error {
  readonly fault: UpstreamFault;

  constructor(fault: UpstreamFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "UpstreamError";
    this.fault = fault;
  }
}

export interface Upstream {
  /** Null: nobody answers this command, so the requester gets 3 / 404 at once. */
  route(command: number, listener: "tcp" | "ws", platform: number): Route | null;
  /** The call itself is told the answer: a promise for each costs more than the rest of it. */
  request(call: UpstreamCall): void;
  /** Nobody waits for it any more. Once, and only for a call that is not done. */
  abandon(call: UpstreamCall): void;
}

/** The first that has a route for a request takes it. */
export function combineUpstreams(upstreams: readonly Upstream[]): Upstream {
  const owners = new Map<Route, Upstream>();

  return {
    route(command, listener, platform) {
      for (const upstream of upstreams) {
        const route = upstream.route(command, listener, platform);
        if (route === null) continue;
        if (!owners.has(route)) owners.set(route, upstream); // as many as the configuration has
        return route;
      }
      return null;
    },
    request(call) {
      const owner = owners.get(call.route);
      if (owner) owner.request(call);
      else throw new Error(`Cannot send command ${call.command}: its route is none of these`);
    },
    abandon(call) {
      owners.get(call.route)?.abandon(call);
    },
  };
}
