/**
 * Bytes to packets to whoever handles them: the rows of the state machine, in one place. [§9]
 */
import {
  Command,
  decodeMessage,
  decodeTcpHandshake,
  gatewayErrors,
  type Packet,
  type Request,
} from "@holdfast/protocol";
import { heartbeatAnswered } from "./frames.ts";
import { forward } from "./handlers/forward.ts";
import { logIn } from "./handlers/login.ts";
import { takeInflated } from "./inflate-rate.ts";
import {
  agree,
  close,
  forgetWaiting,
  holdBytes,
  type Peer,
  respondError,
  respondHeartbeat,
} from "./peer.ts";
import { spoiled } from "./spoiled.ts";

/** A chunk of a TCP stream, or one WebSocket message. Ends the connection if it is spoiled. */
export function receive(peer: Peer, bytes: Uint8Array): void {
  if (peer.phase.at === "closed" || peer.finishUntilMs > 0) return; // discarded
  peer.node.metrics.bytesRead(peer.connection.transport, bytes.length);
  try {
    if (mustWait(peer)) keep(peer, bytes);
    else if (peer.connection.transport === "tcp") receiveChunk(peer, bytes);
    else receiveMessage(peer, bytes);
  } catch (error) {
    spoiled(peer, error);
  }
}

function mustWait(peer: Peer): boolean {
  const { watchdog, clock } = peer.node;
  return watchdog.mustWait(peer, clock.monotonic());
}

/** Until its seat has been verified, in order, within the memory of the node. */
function keep(peer: Peer, bytes: Uint8Array): void {
  peer.isHeard = true;
  peer.node.watchdog.keeps(peer);
  peer.connection.pause();
  if (peer.decoder === null) wait(peer, bytes, bytes.length);
  else peer.decoder.push(bytes);
  hold(peer, peer.decoder?.pendingBytes ?? peer.connection.heldBytes);
}

/** Its seat is still its own, or it has ended. Called by the watchdog. */
export function release(peer: Peer): void {
  if (peer.phase.at === "open") provingNothing(peer, takeUp);
}

/** It may send again, or has its turn. Called by inflow.ts. */
export function readOn(peer: Peer): void {
  if (!peer.isKept) provingNothing(peer, readKept); // which asks for the rest
}

/** What was kept may have been sent before our answer. [D20] */
function provingNothing(peer: Peer, act: (peer: Peer) => void): void {
  const held = peer.phase.at === "open" ? peer.phase.held : null;
  const wasProven = held?.proven;
  try {
    act(peer);
  } catch (error) {
    spoiled(peer, error);
  }
  if (held !== null && wasProven !== undefined) held.proven = wasProven;
}

function receiveChunk(peer: Peer, chunk: Uint8Array): void {
  const rest = peer.phase.at === "handshake" ? receiveHandshake(peer, chunk) : chunk;
  if (rest === null || rest.length === 0) return;
  peer.decoder?.push(rest);
  drainDecoder(peer);
}

/** Two bytes, together or one by one; what follows them is packets already. [§4.1] */
function receiveHandshake(peer: Peer, chunk: Uint8Array): Uint8Array | null {
  let used = 0;
  if (peer.firstByte < 0) peer.firstByte = chunk[used++]!; // a chunk is never empty
  if (used === chunk.length) return null;
  agree(peer, decodeTcpHandshake(peer.firstByte, chunk[used++]!)); // used < length
  return chunk.subarray(used);
}

/** Handles all whole packets the decoder has. */
function drainDecoder(peer: Peer): void {
  for (;;) {
    // A packet may close the peer or change its limits, so the decoder is asked for anew.
    const { decoder } = peer;
    if (decoder === null) return;
    if (peer.finishUntilMs > 0) {
      decoder.drop();
      peer.decoder = null; // discarded, as what is still to come
      holdBytes(peer, 0);
      return;
    }
    if (peer.isKept || peer.isWaiting || peer.inflatingBytes > 0) {
      peer.connection.pause();
      hold(peer, decoder.pendingBytes);
      return;
    }
    const packet = decoder.next();
    if (packet === null) {
      hold(peer, decoder.pendingBytes);
      if (decoder.isHeldByLimit) peer.connection.pause();
      return;
    }
    // It has left the decoder: whoever takes its body counts it from here.
    if (peer.heldBytes !== peer.waitingBytes) holdBytes(peer, peer.waitingBytes);
    arrived(peer, packet);
  }
}

/**
 * Bytes of an unfinished packet count, with all others of the node. What waits since its sender is
 * too quick may fill only half of what there is, or others could not be read. [I6]
 */
function hold(peer: Peer, unfinishedBytes: number): void {
  const { node } = peer;
  const bytes = unfinishedBytes + peer.waitingBytes + peer.inflatingBytes;
  const isMore = bytes > peer.heldBytes;
  if (bytes !== peer.heldBytes) holdBytes(peer, bytes);
  const share = peer.isWaiting ? 1 / 2 : 1;
  if (!isMore || node.bodyBytes <= share * node.config.nodeBodyBytesMax) return;
  node.metrics.rateLimited("admission");
  close(peer, "memoryLimit");
}

/** What the transport keeps of an unfinished message, or upgrade, is more or less than before. */
export function held(peer: Peer): void {
  if (peer.phase.at !== "closed") hold(peer, peer.connection.heldBytes);
}

/** Of a WebSocket message: a stranger may send no more than a login takes. [§5.5] */
export function messageBytesMax({ phase, node }: Peer): number {
  const isStranger = phase.at === "login" || phase.at === "handshake";
  return isStranger ? node.limits.login.messageBytesMax : node.limits.open.messageBytesMax;
}

function receiveMessage(peer: Peer, message: Uint8Array): void {
  const { node, version } = peer;
  if (peer.phase.at === "entering" && isForUpstream(message)) {
    // Not decoded yet: by then it may be larger than a stranger's packet may be. [§5.5]
    node.inflow.packet(peer);
    enqueue(peer, message, message.length);
    held(peer);
    return;
  }
  const limits = peer.phase.at === "open" ? node.limits.open : node.limits.login;
  arrived(peer, decodeMessage(message, version, limits));
}

function isForUpstream(message: Uint8Array): boolean {
  const isRequest = ((message[0] ?? 0) & 0x0f) === 1;
  return isRequest && message.length >= 6 && message[1]! > Command.reconnect; // length checked
}

function requestIdOf(message: Uint8Array): number {
  return new DataView(message.buffer, message.byteOffset).getUint32(2);
}

/** A packet that has just come in. */
function arrived(peer: Peer, packet: Packet): void {
  const { node, phase } = peer;
  peer.isHeard = true;
  node.inflow.packet(peer);
  // The client's first packet after its answer shows that it has its new session id. [D20]
  if (phase.at === "open") phase.held.proven = true;
  if (packet.isDeflated) inflate(peer, packet);
  else whole(peer, packet);
}

/** What follows it waits, so that its sender is answered in order. */
function inflate(peer: Peer, packet: Packet): void {
  const { node, connection } = peer;
  const { length } = packet.body;
  peer.inflatingBytes = length;
  connection.pause();
  if (connection.transport === "ws") hold(peer, connection.heldBytes);
  node.inflating
    .inflate(packet.body, node.limits.open.inflatedBytesMax, () => peer.phase.at !== "closed")
    .then((body) => {
      peer.inflatingBytes = 0;
      if (body === null || peer.phase.at === "closed" || peer.finishUntilMs > 0) return;
      const { isDeflated: _, ...rest } = packet;
      whole(peer, { ...rest, body });
      if (!peer.isKept) provingNothing(peer, takeUp);
    })
    .catch((error) => spoiled(peer, error));
}

/** A packet with its body as it was meant. */
function whole(peer: Peer, packet: Packet): void {
  const { node } = peer;
  if (packet.gzip && !mayInflate(peer, packet.body.length)) return;
  const isControl = packet.command <= Command.reconnect;
  node.metrics.received(
    peer.connection.transport,
    isControl ? "control" : packet.type,
    packet.body.length,
  );
  handle(peer, packet);
}

/** A client that has more inflated than it may is as one whose packet is too large. [D09] */
function mayInflate(peer: Peer, bytes: number): boolean {
  const { node } = peer;
  if (takeInflated(peer, bytes, node.config, node.clock.monotonic())) return true;
  node.metrics.rateLimited("inflate");
  close(peer, "tooLarge");
  return false;
}

function handle(peer: Peer, packet: Packet): void {
  switch (packet.type) {
    case "request":
      handleRequest(peer, packet);
      return;
    case "response":
      if (packet.command === Command.heartbeat) heartbeatAnswered(peer, packet.requestId);
      return; // others answer nothing that was asked [§5.8]
    case "push":
      if (packet.command === Command.close) close(peer, "clientLeft"); // [D15]
      return;
    default:
      packet satisfies never;
  }
}

function handleRequest(peer: Peer, request: Request): void {
  const { command, requestId } = request;
  switch (command) {
    case Command.heartbeat:
      respondHeartbeat(peer, requestId, request.body); // in every state, ahead of queued work
      return;
    case Command.close:
      respondError(peer, command, requestId, gatewayErrors.unknownCommand);
      return;
    case Command.auth:
    case Command.reconnect:
      if (peer.phase.at === "login") decide(peer, request);
      else respondError(peer, command, requestId, gatewayErrors.alreadyAuthenticated);
      return;
    default:
      handleOther(peer, request);
  }
}

function decide(peer: Peer, request: Request): void {
  logIn(peer, request)
    ?.then(() => resumeInput(peer))
    .catch((error) => spoiled(peer, error));
}

function handleOther(peer: Peer, request: Request): void {
  switch (peer.phase.at) {
    case "open": {
      const { node, phase } = peer;
      const nowMs = node.clock.monotonic();
      // It may have been in the middle of a chunk that the process stood still.
      if (node.watchdog.mustWait(peer, nowMs)) {
        node.watchdog.keeps(peer);
        wait(peer, request, request.body.length);
      } else forward(peer, request, phase.held, nowMs);
      return;
    }
    case "entering":
      enqueue(peer, request, request.body.length);
      return;
    case "login":
      tooEarly(peer, request, true);
      return;
    case "handshake":
    case "closed":
      return;
    default:
      peer.phase satisfies never;
  }
}

/** 16 are answered, the next is one too many; those that waited behind a login do not count. */
function tooEarly(peer: Peer, request: Request, counts: boolean): void {
  if (counts && ++peer.earlyRequests > peer.node.config.preAuthRequestsMax) {
    peer.node.metrics.rateLimited("connection");
    close(peer, "unauthenticatedRequests");
    return;
  }
  respondError(peer, request.command, request.requestId, gatewayErrors.unauthenticated);
}

/** While a login is decided, packets wait in order, within bounds. [D29] */
function enqueue(peer: Peer, item: Request | Uint8Array, bytes: number): void {
  const { config } = peer.node;
  peer.waiting ??= [];
  const isFull =
    peer.waiting.length >= config.preAuthQueueMax ||
    peer.waitingBytes + bytes > config.preAuthQueueBytesMax;
  if (isFull) {
    peer.node.metrics.rateLimited("connection");
    const isRaw = item instanceof Uint8Array;
    const command = isRaw ? item[1]! : item.command; // has a header
    const requestId = isRaw ? requestIdOf(item) : item.requestId;
    respondError(peer, command, requestId, gatewayErrors.rateLimit);
    return;
  }
  wait(peer, item, bytes);
}

function wait(peer: Peer, item: Packet | Uint8Array, bytes: number): void {
  peer.waiting ??= [];
  peer.waiting.push(item);
  peer.waitingBytes += bytes;
}

/** The login has been decided: what waited behind it is handled in order, then reading goes on. */
function resumeInput(peer: Peer): void {
  if (peer.phase.at === "entering") return; // the next one already, which comes back here
  if (mustWait(peer)) {
    peer.node.watchdog.keeps(peer);
    peer.connection.pause();
    return;
  }
  takeUp(peer);
  // All of this was sent before our answer: it shows nothing of the new id. [D20]
  if (peer.phase.at === "open") peer.phase.held.proven = false;
}

function takeUp(peer: Peer): void {
  const { waiting } = peer;
  forgetWaiting(peer);
  holdBytes(peer, 0);
  for (const item of waiting ?? []) {
    if (peer.inflatingBytes === 0) handleWaiting(peer, item);
    else wait(peer, item, item instanceof Uint8Array ? item.length : item.body.length);
  }
  const isHeldBack = peer.isWaiting || peer.inflatingBytes > 0;
  if (isHeldBack) hold(peer, peer.decoder?.pendingBytes ?? peer.connection.heldBytes);
  else readKept(peer);
}

/** What has been read and not looked at, then what has not been read. */
function readKept(peer: Peer): void {
  if (peer.phase.at === "closed" || peer.inflatingBytes > 0) return;
  const { connection, node } = peer;
  node.inflow.begin(peer, 0);
  if (connection.transport === "ws") {
    connection.resume();
    held(peer);
  } else {
    drainDecoder(peer);
    const isStopped = peer.isWaiting || peer.isKept || peer.inflatingBytes > 0;
    if (!isStopped && peer.decoder?.isHeldByLimit !== true) connection.resume();
  }
  node.inflow.end(peer, 0);
}

function handleWaiting(peer: Peer, item: Packet | Uint8Array): void {
  const { node, phase, version } = peer;
  if (phase.at === "closed") return;
  const limits = phase.at === "open" ? node.limits.open : node.limits.login;
  const packet = item instanceof Uint8Array ? decodeMessage(item, version, limits) : item;
  if (packet.isDeflated) {
    inflate(peer, packet);
    return;
  }
  if (packet !== item && packet.gzip && !mayInflate(peer, packet.body.length)) return;
  if (phase.at === "login" && packet.type === "request") tooEarly(peer, packet, false);
  else handle(peer, packet);
}
