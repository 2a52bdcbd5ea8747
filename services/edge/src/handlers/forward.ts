/**
 * A request of command 4 to 255 on its way to an upstream and back: exactly one response, or the
 * connection closes. [§5.8] [§5.9] [I4]
 */
import { compressBody, gatewayErrors, type Metadata, type Request } from "@holdfast/protocol";
import type { Session } from "@holdfast/session";
import type { Timed } from "../deadlines.ts";
import { type Held, type Peer, respond, respondError } from "../peer.ts";
import type { UpstreamCall, UpstreamReply } from "../upstream/upstream.ts";

const nothing = new Uint8Array(0);

/** One unanswered request: what the upstream is shown, and what its answer is matched with. */
export class Call implements UpstreamCall, Timed {
  readonly peer: Peer;
  readonly command: number;
  readonly requestId: number;
  readonly metadata: Metadata;
  readonly timeoutMs: number;
  readonly startedMs: number;
  readonly session: Session;
  body: Uint8Array;
  isDone = false;
  private aborter: AbortController | null = null;

  constructor(peer: Peer, request: Request, held: Held, timeoutMs: number) {
    this.peer = peer;
    this.command = request.command;
    this.requestId = request.requestId;
    this.metadata = request.metadata;
    this.timeoutMs = timeoutMs;
    this.startedMs = peer.node.clock.monotonic();
    this.session = held.session;
    this.body = ownBytes(request);
  }

  get seat() {
    return this.peer.seat;
  }
  get platform() {
    return this.peer.platform;
  }
  get version() {
    return this.peer.version;
  }
  get deadlineMs(): number {
    return this.startedMs + this.timeoutMs;
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

  private abort(): void {
    this.aborter?.abort();
  }
}

type Outcome = Parameters<Peer["node"]["metrics"]["requested"]>[0];

/** False: it was finished before. */
function finish(call: Call, outcome: Outcome): boolean {
  if (call.isDone) return false;
  call.isDone = true;
  const { node } = call.peer;
  node.bodyBytes -= call.body.length;
  call.body = nothing;
  node.deadlines.remove(call);
  call.peer.calls?.delete(call);
  node.metrics.requested(outcome, node.clock.monotonic() - call.startedMs);
  return true;
}

/** Called when a call has been answered, for a peer that waits for that to finish. */
function settled(peer: Peer): void {
  if (peer.finishUntilMs > 0 && (peer.calls?.size ?? 0) === 0) peer.node.hub.finished(peer);
}

export function forward(peer: Peer, request: Request, held: Held): void {
  const { node } = peer;
  if (!node.upstream.hasRoute(request.command)) {
    node.metrics.requested("no_responder", 0);
    respondError(peer, request.command, request.requestId, gatewayErrors.unknownCommand);
    return;
  }
  peer.calls ??= new Set();
  if (peer.calls.size >= node.config.inFlightMax) {
    node.metrics.requested("rate_limited", 0);
    node.metrics.rateLimited("connection");
    respondError(peer, request.command, request.requestId, gatewayErrors.rateLimit);
    return;
  }
  if (node.bodyBytes + request.body.length > node.config.nodeBodyBytesMax) {
    node.metrics.requested("error", 0);
    node.metrics.rateLimited("admission");
    respondError(peer, request.command, request.requestId, gatewayErrors.serviceUnavailable);
    return;
  }
  const call = new Call(peer, request, held, timeoutOf(peer, request));
  peer.calls.add(call);
  node.bodyBytes += call.body.length;
  node.deadlines.add(call);
  void run(call);
}

/** 0 states nothing; above the maximum is the maximum. [D11] */
function timeoutOf(peer: Peer, request: Request): number {
  const { requestTimeoutMs, requestTimeoutMaxMs } = peer.node.config;
  return Math.min(request.timeoutMs || requestTimeoutMs, requestTimeoutMaxMs);
}

async function run(call: Call): Promise<void> {
  const { node } = call.peer;
  try {
    const reply = await node.upstream.request(call);
    if (!finish(call, "ok")) return;
    answer(call, reply);
  } catch (error) {
    if (!finish(call, "error")) return;
    node.metrics.exception("packet");
    node.log.warn("upstream failed", { command: call.command, error: String(error) });
    respondError(call.peer, call.command, call.requestId, gatewayErrors.internalError);
  }
  settled(call.peer);
}

/** Compressed when it is worth it [D08]; a body that cannot be packed is our fault. [§5.5] */
function answer(call: Call, reply: UpstreamReply): void {
  const { peer, command, requestId } = call;
  const { gzipMinBytes } = peer.node.config;
  const small = reply.body.length < gzipMinBytes ? null : compressBody(reply.body, gzipMinBytes);
  const options = reply.metadata ? { metadata: reply.metadata } : undefined;
  try {
    if (small === null) respond(peer, command, requestId, reply.status, reply.body, options);
    else respond(peer, command, requestId, reply.status, small, { ...options, isCompressed: true });
  } catch (error) {
    // A body above 24 bits, or a status that is none: whatever it is, there is one answer. [I4]
    peer.node.log.warn("upstream_unfit", { command, error: String(error) });
    respondError(peer, command, requestId, gatewayErrors.internalError);
  }
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
