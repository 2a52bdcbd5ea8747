/**
 * One connection's life. A peer is in exactly one phase; the functions here are its transitions,
 * and say whether they happened. After every `await` ask a transition, never a remembered phase.
 * [§9]
 */
import {
  Command,
  closePacket,
  Decoder,
  type EncodeOptions,
  type EndingName,
  encodeResponse,
  endings,
  type GatewayError,
  type Handshake,
  hintsOf,
  type Packet,
  Status,
} from "@holdfast/protocol";
import type { Seat, Session } from "@holdfast/session";
import type { Call } from "./handlers/forward.ts";
import type { Loss } from "./handlers/losers.ts";
import type { ConnectionState } from "./hub.ts";
import type { EdgeNode } from "./node.ts";
import type { PushLane } from "./push/delivery.ts";
import type { Topic } from "./push/topics.ts";
import type { AccountBucket, Bucket } from "./request-rates.ts";
import type { Connection, Farewell } from "./transport/transport.ts";

/** A seat and the session in it. `proven` turns true once the client has shown its new id. */
export interface Held {
  readonly session: Session;
  readonly seat: Seat;
  proven: boolean;
  /** When the last call that found it in the registry began, monotonic milliseconds. */
  verifiedMs: number;
  /** From then on its lease runs for this long at least, whatever happens. */
  termMs: number;
}

export type Phase =
  | { readonly at: "handshake" } // the first bytes of TCP, or the upgrade, are not here yet
  | { readonly at: "login" } // may send auth or reconnect, and heartbeats
  | { readonly at: "entering" } // a login is being decided
  | { readonly at: "open"; readonly held: Held }
  | { readonly at: "closed"; readonly ending: EndingName };

const handshakePhase: Phase = { at: "handshake" };
const loginPhase: Phase = { at: "login" };
const enteringPhase: Phase = { at: "entering" };

const stateOf: Record<Phase["at"], ConnectionState> = {
  handshake: "handshake",
  login: "unauthenticated",
  entering: "unauthenticated",
  open: "ready",
  closed: "draining",
};

/** Plain data; what exists once per connection has no closures and no timer. */
export class Peer {
  readonly node: EdgeNode;
  readonly connection: Connection;
  readonly id: string;
  /** What its address counts under, in AddressLimits. */
  readonly addressKey: string;
  phase: Phase;
  version: 1 | 2 = 1; // a bad TCP handshake is refused in the layout of version 1 [§4.3]
  platform = -1; // not known yet
  /** TCP only; a WebSocket message is a whole packet. */
  decoder: Decoder | null = null;
  /** The first byte of a TCP handshake whose second has not come; -1: none. */
  firstByte = -1;

  // Time, in monotonic milliseconds.
  readonly openedMs: number;
  lastSeenMs: number;
  /** Since the last sweep, which moves `lastSeenMs`: a packet need not read the clock. */
  isHeard = false;
  /** Since the last sweep: what it was asked last. */
  hasAnswered = false;
  nextPingMs: number;
  /** When a peer that is not open is ended, and with what. */
  deadlineMs: number;
  deadlineEnding: EndingName = "handshakeTimeout";
  /** Set at its turn in a drain: ends when its requests are answered, or at this time. */
  finishUntilMs = 0;

  // Login. [§9, D29, D30]
  /** WebSocket: when its login would be let in, by the place kept since the upgrade; 0: none. */
  placeMs = 0;
  attempts = 0;
  storeFailures = 0;
  /** A login was given up, and may have taken a seat all the same. */
  isUnsure = false;
  /** A seat that was lost while a login is decided, perhaps that login's. */
  loss: Loss | null = null;
  earlyRequests = 0;
  /** What came while a login was decided; raw WebSocket messages are decoded afterwards. */
  waiting: (Packet | Uint8Array)[] | null = null;
  waitingBytes = 0;
  /** Its input is not looked at: the process stood still, and its seat is being verified. */
  isKept = false;

  // What it may send, for inflow.ts; full at first.
  byteTokens = Number.POSITIVE_INFINITY;
  packetTokens = Number.POSITIVE_INFINITY;
  inflowMs = 0; // when they were filled
  /** Of what has just been read; below 0: the next turn has more. */
  packetsLeft = Number.POSITIVE_INFINITY;
  /** Of its packet that is being inflated, on the wire; 0: none. What follows waits. */
  inflatingBytes = 0;
  /** Its latest chunk was a large one. */
  isLarge = false;
  /** It is not read, and what has been read is not looked at, until inflow.ts says so. */
  isWaiting = false;

  /** Our own heartbeat or ping that is not answered yet; 0: none. */
  pingId = 0;
  pingSentMs = 0;
  pingCount = 0;
  /** WebSocket: what the pong must bring back. */
  pingPayload: Uint8Array | null = null;

  /** Unanswered, in no order; null until the first, and once closed. */
  calls: Call[] | null = null;
  /** Of requests it may send; full at first. */
  tokens = Number.POSITIVE_INFINITY;
  filledMs = 0;
  /** Of bytes that its packets may inflate to; set by its first compressed one. */
  inflated: Bucket | null = null;
  /** Set by its first request. */
  account: AccountBucket | null = null;
  topics: Set<Topic> | null = null;
  /** Pushes that wait; null as long as the socket takes them. */
  lane: PushLane | null = null;
  /** What an upstream's adapter says of this connection in every call. */
  rendered: Uint8Array | null = null;
  /** What this peer adds to the node's `bodyBytes` beside its calls. */
  heldBytes = 0;

  constructor(node: EdgeNode, connection: Connection, handshake: Handshake | null) {
    const now = node.clock.monotonic();
    this.node = node;
    this.connection = connection;
    this.id = node.hub.nextId();
    this.addressKey = node.addresses.keyOf(connection);
    node.addresses.opened(this.addressKey);
    this.openedMs = now;
    this.lastSeenMs = now;
    this.nextPingMs = now + node.config.heartbeatIntervalMs;
    this.deadlineMs = now + node.config.handshakeTimeoutMs;
    this.phase = handshakePhase;
    node.hub.add(this);
    node.hub.moved(this, null, "handshake");
    if (handshake !== null) agree(this, handshake);
  }

  get seat(): Seat {
    return { node: this.node.id, connection: this.id };
  }
}

function move(peer: Peer, phase: Phase): void {
  const from = stateOf[peer.phase.at];
  const to = stateOf[phase.at];
  peer.phase = phase;
  if (from !== to) peer.node.hub.moved(peer, from, to);
}

/** handshake -> login */
export function agree(peer: Peer, handshake: Handshake): void {
  const { node } = peer;
  peer.version = handshake.version;
  peer.platform = handshake.platform;
  if (peer.connection.transport === "tcp") {
    peer.decoder = new Decoder(handshake.version, node.limits.login);
  }
  move(peer, loginPhase);
  if (peer.connection.transport === "ws") node.admission.placed(peer);
  const now = node.clock.monotonic();
  node.metrics.entered(peer.connection.transport, "protocol", now - peer.openedMs);
  peer.deadlineMs = now + node.config.authTimeoutMs;
  peer.deadlineEnding = "authTimeout";
}

/** login -> entering */
export function begin(peer: Peer): boolean {
  if (peer.phase.at !== "login") return false;
  move(peer, enteringPhase);
  peer.decoder?.setLimits(peer.node.limits.entering);
  return true;
}

/**
 * entering -> open. False: the peer left, or was itself displaced, while its login was decided.
 * `claimedMs`: when the registry was asked for its seat.
 */
export function enter(
  peer: Peer,
  session: Session,
  claimedMs = peer.node.clock.monotonic(),
): boolean {
  if (peer.phase.at !== "entering") return false;
  const lease = { verifiedMs: claimedMs, termMs: peer.node.config.firstLeaseMs };
  move(peer, { at: "open", held: { session, seat: peer.seat, proven: false, ...lease } });
  peer.decoder?.setLimits(peer.node.limits.open);
  peer.node.inflow.entered(peer);
  peer.lastSeenMs = peer.node.clock.monotonic();
  peer.node.metrics.entered(peer.connection.transport, "auth", peer.lastSeenMs - peer.openedMs);
  return true;
}

/** The store was asked then, and found the seat: with less left its lease was written anew. */
export function verified(node: EdgeNode, held: Held, askedMs: number): void {
  held.verifiedMs = askedMs;
  held.termMs = node.config.registry.renewBelowMs;
}

/** For the way there and back of one that comes when it was told to. */
const travelMs = 1_000;

/**
 * entering -> login, with a grace in which the client may try again or leave. [D30] Whoever was
 * told after which time to try again is still there then.
 */
export function backToLogin(peer: Peer, ending: EndingName, retryAfterMs = 0): boolean {
  if (peer.phase.at !== "entering") return false;
  move(peer, loginPhase);
  peer.decoder?.setLimits(peer.node.limits.login);
  const graceMs = retryAfterMs === 0 ? 0 : retryAfterMs + travelMs;
  const { clock, config } = peer.node;
  peer.deadlineMs = clock.monotonic() + Math.max(config.refusalGraceMs, graceMs);
  peer.deadlineEnding = ending;
  return true;
}

/**
 * any -> closed. The one way a connection is ended by this node: out of the routing tables, calls
 * aborted, Close said, seat given back. Whatever of it throws, the rest is done. [§10] [I4] [I5]
 */
export function close(peer: Peer, name: EndingName): boolean {
  const was = peer.phase;
  if (was.at === "closed") return false;
  const { node } = peer;
  move(peer, { at: "closed", ending: name });
  try {
    release(peer, name);
  } finally {
    try {
      peer.connection.end(farewellOf(peer, name));
    } finally {
      if (was.at === "open") node.seats.giveBack(was.held, endings[name]);
    }
  }
  return true;
}

function release(peer: Peer, name: EndingName): void {
  const { node } = peer;
  node.hub.remove(peer);
  dropCalls(peer);
  node.pushes.released(peer);
  node.rates.released(peer);
  node.admission.left(peer);
  forgetWaiting(peer);
  holdBytes(peer, 0);
  peer.decoder?.drop();
  peer.decoder = null;
  node.metrics.closed(peer.connection.transport, endings[name]);
}

/** The socket is gone, whoever ended it. */
export function gone(peer: Peer, byPeer: boolean): void {
  const { node } = peer;
  try {
    close(peer, byPeer ? "clientLeft" : "connectionLost");
  } finally {
    node.hub.moved(peer, "draining", null);
    node.addresses.closed(peer.addressKey);
    node.metrics.lived(peer.connection.transport, node.clock.monotonic() - peer.openedMs);
  }
}

function farewellOf(peer: Peer, name: EndingName): Farewell {
  const ending = endings[name];
  const isWs = peer.connection.transport === "ws";
  const discard = name === "slowConsumer";
  if (ending.code === null) {
    // A client that said Close has its WebSocket close answered, and no more. [D15]
    const frame = isWs && name === "clientLeft" ? { code: 1000, reason: "" } : null;
    return { push: null, frame, discard };
  }
  if (!isToldClose(peer)) return { push: null, frame: null, discard };
  const frame = isWs ? { code: 4000 + ending.code, reason: ending.reason } : null; // [D24]
  const hints = peer.node.config.closeHints ? hintsOf(ending, Math.random) : undefined;
  return { push: closePacket(peer.version, ending, hints), frame, discard };
}

/** closeNotify: a Close makes the public Go client hang for good. [D31] */
function isToldClose(peer: Peer): boolean {
  const { config } = peer.node;
  if (peer.connection.transport === "tcp") {
    if (config.tcpCloseNotify === "auto") return peer.platform !== 9;
    return config.tcpCloseNotify === "full";
  }
  if (config.wsCloseNotify === "auto") {
    return !peer.connection.userAgent.startsWith("Go-http-client/");
  }
  return config.wsCloseNotify === "full";
}

/** Aborts what is unanswered: nothing follows a Close. */
function dropCalls(peer: Peer): void {
  const { calls } = peer;
  if (calls === null) return;
  peer.calls = null;
  for (const call of calls) call.cancel();
}

/** The bytes this peer holds in its decoder and its waiting packets, as the node counts them. */
export function holdBytes(peer: Peer, bytes: number): void {
  peer.node.bodyBytes += bytes - peer.heldBytes;
  peer.heldBytes = bytes;
}

export function forgetWaiting(peer: Peer): void {
  peer.waiting = null;
  peer.waitingBytes = 0;
}

/** Queues one response; a peer that does not read is closed. */
export function respond(
  peer: Peer,
  command: number,
  requestId: number,
  status: number,
  body: Uint8Array,
  options?: EncodeOptions,
): void {
  const packet = encodeResponse(peer.version, command, requestId, status, body, options);
  const kind = command <= Command.reconnect ? "control" : "response";
  deliver(peer, packet, kind, body.length);
}

export function respondError(
  peer: Peer,
  command: number,
  requestId: number,
  error: GatewayError,
): void {
  respond(peer, command, requestId, error.status, error.body);
}

export function respondHeartbeat(peer: Peer, requestId: number, body: Uint8Array): void {
  respond(peer, Command.heartbeat, requestId, Status.success, body);
}

export function deliver(
  peer: Peer,
  packet: Uint8Array,
  kind: "request" | "response" | "push" | "control",
  bodyBytes: number,
): void {
  if (peer.phase.at === "closed") return;
  if (!peer.connection.send(packet) || isStrangerFull(peer)) {
    tooSlow(peer);
    return;
  }
  peer.node.metrics.sent(peer.connection.transport, kind, bodyBytes);
  // It went ahead of the pushes that wait, but they share the bounds.
  if (kind !== "push" && peer.lane !== null) peer.node.pushes.makeRoom(peer);
}

/**
 * Before login no more may wait for a peer than for it to be read: a few strangers who ask and do
 * not read would else fill the node's bound, at which its clients are closed. [I6]
 */
export function isStrangerFull(peer: Peer): boolean {
  const { phase, connection, node } = peer;
  if (phase.at === "open" || connection.pendingBytes <= node.config.preAuthBytesMax) return false;
  connection.flush(); // much of it may be of this very turn
  return connection.pendingBytes > node.config.preAuthBytesMax;
}

/** It does not read what is sent to it. */
export function tooSlow(peer: Peer): void {
  if (close(peer, "slowConsumer")) peer.node.metrics.slowConsumer(peer.connection.transport);
}
