/**
 * A request of command 4 to 255 on its way to an upstream and back: exactly one response, or the
 * connection closes. [§5.8] [§5.9] [I4]
 */
import {
  encodeResponse,
  type GatewayError,
  gatewayErrors,
  type Metadata,
  type Request,
  Status,
} from "@holdfast/protocol";
import type { Session } from "@holdfast/session";
import type { Timed } from "../deadlines.ts";
import { deliver, type Held, type Peer, respondError } from "../peer.ts";
import type { RequestOutcome } from "../request-metrics.ts";
import { spoiled } from "../spoiled.ts";
import {
  type ReplyExtras,
  type Route,
  type UpstreamCall,
  UpstreamError,
  type UpstreamFault,
} from "../upstream/upstream.ts";

const nothing = new Uint8Array(0);

/** One unanswered request: what the upstream is shown, and what its answer is matched with. */
export class Call implements UpstreamCall, Timed {
  readonly peer: Peer;
  readonly route: Route;
  readonly command: number;
  readonly requestId: number;
  readonly metadata: Metadata;
  readonly timeoutMs: number;
  readonly startedMs: number;
  readonly deadlineMs: number;
  readonly session: Session;
  body: Uint8Array;
  isDone = false;
  slot: Timed[] | null = null;
  place = -1;
  /** Among the calls of its peer. */
  index = -1;
  number = 0;
  private aborter: AbortController | null = null;

  constructor(peer: Peer, request: Request, held: Held, route: Route, nowMs: number) {
    this.peer = peer;
    this.route = route;
    this.command = request.command;
    this.requestId = request.requestId;
    this.metadata = request.metadata;
    this.timeoutMs = timeoutOf(peer, request, route);
    this.startedMs = nowMs;
    this.deadlineMs = nowMs + this.timeoutMs;
    this.session = held.session;
    this.body = ownBytes(request);
  }

  get seat() {
    return this.peer.seat;
  }
  get listener() {
    return this.peer.connection.transport;
  }
  get platform() {
    return this.peer.platform;
  }
  get version() {
    return this.peer.version;
  }
  get rendered(): Uint8Array | null {
    return this.peer.rendered;
  }
  set rendered(bytes: Uint8Array | null) {
    this.peer.rendered = bytes;
  }
  get signal(): AbortSignal {
    this.aborter ??= new AbortController();
    if (this.isDone) this.aborter.abort();
    return this.aborter.signal;
  }

  /** The deadline is over: the requester is told, a late answer is dropped. [D11] */
  expired(): void {
    if (!finish(this, "timeout")) return;
    this.abort();
    respondError(this.peer, this.command, this.requestId, gatewayErrors.serverTimeout);
    settled(this.peer);
  }

  /** The connection is ending: nobody waits for the answer any more. */
  cancel(): void {
    if (finish(this, "cancelled")) this.abort();
  }

  answered(
    status: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    extras: ReplyExtras | null,
  ): void {
    if (this.isDone) return;
    try {
      respond(this, status, bytes, start, end, extras);
      settled(this.peer);
    } catch (error) {
      // Nobody can say how much of a response has left: then the connection ends. [I4]
      if (this.isDone) spoiled(this.peer, error);
      else this.failed(error);
    }
  }

  failed(error: unknown): void {
    if (this.isDone) return;
    fail(this, error);
    settled(this.peer);
  }

  private abort(): void {
    this.peer.node.upstream.abandon(this);
    this.aborter?.abort();
  }
}

/** False: it was finished before. */
function finish(call: Call, outcome: RequestOutcome): boolean {
  if (call.isDone) return false;
  call.isDone = true;
  const { node } = call.peer;
  node.bodyBytes -= call.body.length;
  call.body = nothing;
  node.deadlines.remove(call);
  leave(call);
  node.metrics.requested(call.route.name, outcome, node.clock.monotonic() - call.startedMs);
  return true;
}

/** The last takes the place of the one that leaves: a set would make garbage of each. */
function leave({ peer: { calls }, index }: Call): void {
  const last = calls?.pop();
  if (!calls || !last || last.index === index) return;
  last.index = index;
  calls[index] = last;
}

/** Called when a call has been answered, for a peer that waits for that to finish. */
function settled(peer: Peer): void {
  if (peer.finishUntilMs > 0 && (peer.calls?.length ?? 0) === 0) peer.node.hub.finished(peer);
}

/** `nowMs`: monotonic. */
export function forward(peer: Peer, request: Request, held: Held, nowMs: number): void {
  const { node } = peer;
  const { transport } = peer.connection;
  const route = node.upstream.route(request.command, transport, peer.platform);
  if (route === null) {
    refuse(peer, request, null, "no_responder", gatewayErrors.unknownCommand);
    return;
  }
  peer.calls ??= [];
  if (peer.calls.length >= node.config.inFlightMax) {
    node.metrics.rateLimited("connection");
    refuse(peer, request, route, "rate_limited", gatewayErrors.rateLimit);
    return;
  }
  const refusal = node.rates.refusalOf(peer, held.session.account, nowMs);
  if (refusal !== null) {
    node.metrics.rateLimited(refusal);
    refuse(peer, request, route, "rate_limited", gatewayErrors.rateLimit);
    return;
  }
  if (node.bodyBytes + request.body.length > node.config.nodeBodyBytesMax) {
    node.metrics.rateLimited("admission");
    refuse(peer, request, route, "error", gatewayErrors.serviceUnavailable);
    return;
  }
  const call = new Call(peer, request, held, route, nowMs);
  call.index = peer.calls.push(call) - 1;
  node.bodyBytes += call.body.length;
  node.deadlines.add(call);
  try {
    node.upstream.request(call);
  } catch (error) {
    call.failed(error);
  }
}

/** It never becomes a call. */
function refuse(
  peer: Peer,
  { command, requestId }: Request,
  route: Route | null,
  outcome: RequestOutcome,
  error: GatewayError,
): void {
  peer.node.metrics.requested(route?.name ?? null, outcome, 0);
  respondError(peer, command, requestId, error);
}

/** 0 states nothing; above the maximum is the maximum. [D11] */
function timeoutOf(peer: Peer, request: Request, route: Route): number {
  const { requestTimeoutMs, requestTimeoutMaxMs } = peer.node.config;
  const timeoutMs = request.timeoutMs || (route.timeoutMs ?? requestTimeoutMs);
  return Math.min(timeoutMs, requestTimeoutMaxMs, route.timeoutMs ?? requestTimeoutMaxMs);
}

/** A reply that no packet can carry is the upstream's fault; nothing has been said by then. [I4] */
function respond(
  call: Call,
  status: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  extras: ReplyExtras | null,
): void {
  const packet = pack(call, status, bytes, start, end, extras?.metadata);
  finish(call, outcomeOf(status));
  if (extras !== null) call.peer.node.pushes.change(call.peer, extras);
  deliver(call.peer, packet, "response", end - start);
}

/** Compressed when it is worth it. [D08] [§5.5] */
function pack(
  { peer, command, requestId }: Call,
  status: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  metadata: Metadata | undefined,
): Uint8Array {
  const { config, compress } = peer.node;
  const small = end - start < config.gzipMinBytes ? null : compress(bytes.subarray(start, end));
  const options = metadata ? { metadata } : undefined;
  try {
    if (small === null) {
      return encodeResponse(peer.version, command, requestId, status, bytes, options, start, end);
    }
    const compressed = { ...options, isCompressed: true };
    return encodeResponse(peer.version, command, requestId, status, small, compressed);
  } catch (error) {
    // A body above 24 bits, or a status that is none.
    throw new UpstreamError("unfit", `Cannot pack a reply: ${String(error)}`, { cause: error });
  }
}

/** What the upstream itself says: 3, 5 and 6 blame the request. [§6] */
function outcomeOf(status: number): RequestOutcome {
  switch (status) {
    case Status.success:
      return "ok";
    case Status.serverTimeout:
      return "timeout";
    case Status.badRequest:
    case Status.unauthenticated:
    case Status.permissionDenied:
      return "bad_request";
    default:
      return "error";
  }
}

const faults: Record<UpstreamFault, { error: GatewayError; outcome: RequestOutcome }> = {
  unavailable: { error: gatewayErrors.serviceUnavailable, outcome: "no_responder" },
  unfit: { error: gatewayErrors.internalError, outcome: "error" },
  "too-large": { error: gatewayErrors.requestTooLarge, outcome: "bad_request" },
};

function fail(call: Call, error: unknown): void {
  const { node } = call.peer;
  const fault = error instanceof UpstreamError ? error.fault : null;
  const { outcome, error: told } = faults[fault ?? "unfit"];
  if (!finish(call, outcome)) return;
  if (fault === null) node.metrics.exception("packet");
  else node.metrics.upstreamFailed(call.route.name, fault);
  // One that is away, or asked for too much, is counted; one that misbehaves has to be found.
  if (fault === null || fault === "unfit") {
    const { route, command } = call;
    const event = fault === null ? "upstream_failed" : "upstream_unfit";
    node.log.warn(event, { route: route.name, command, error: String(error) });
  }
  respondError(call.peer, call.command, call.requestId, told);
}

/**
 * A body that is kept must not keep the chunk it came in: a small one is copied, one that makes
 * up most of its chunk is not.
 */
function ownBytes({ body, gzip }: Request): Uint8Array {
  if (body.length === 0) return nothing;
  // At the start of its memory, where a header would be, it has been copied already; to look at
  // its buffer would cost more than that copy.
  if (body.byteOffset === 0 && !gzip) return body;
  return body.length * 2 < body.buffer.byteLength ? body.slice() : body;
}
