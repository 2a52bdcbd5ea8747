/**
 * One sweep per node compares every peer's deadlines with the clock: no timer per connection, and
 * a packet sets a flag, which moves its deadline at the next sweep. [§7.2] [§11]
 */
import { Command, encodeHeartbeat, encodeRequest } from "@holdfast/protocol";
import { isBehind } from "./inflow.ts";
import type { EdgeNode } from "./node.ts";
import { close, deliver, type Peer } from "./peer.ts";
import { spoiled } from "./spoiled.ts";

export const sweepIntervalMs = 250;

/**
 * Peers that one sweep pings or ends, and the part of all that it may be; the next ones have their
 * turn with the next sweep. Those who came in one storm are due in one moment, too: ten thousand
 * at once would keep everybody else waiting for a tenth of a second.
 */
const actsLeast = 1000;
const actsShare = 1 / 20;

/** A sweep this late means that the process stood still: what came meanwhile is not read yet. */
const stallMs = 2000;

export function createSweep(node: EdgeNode): (nowMs: number) => void {
  let lastMs = node.clock.monotonic();

  return (nowMs) => {
    const lateMs = nowMs - lastMs - sweepIntervalMs;
    lastMs = nowMs;
    const { peers } = node.hub;
    let actsLeft = Math.max(actsLeast, Math.ceil(peers.size * actsShare));
    for (const peer of peers.values()) {
      if (lateMs > stallMs) forgive(peer, lateMs, nowMs);
      else if (isActedOn(peer, nowMs, actsLeft > 0)) actsLeft--;
    }
  };
}

/** One that throws ends, and keeps nobody behind it from their turn, in this sweep or the next. */
function isActedOn(peer: Peer, nowMs: number, mayAct: boolean): boolean {
  try {
    return sweep(peer, nowMs, mayAct);
  } catch (error) {
    spoiled(peer, error);
    return true;
  }
}

/** While nothing was read, nobody can have been heard; who has been heard since needs no pardon. */
function forgive(peer: Peer, lateMs: number, nowMs: number): void {
  peer.lastSeenMs = Math.min(nowMs, peer.lastSeenMs + lateMs);
  peer.deadlineMs += lateMs;
}

/** True: it was ended, or pinged. `mayAct`: otherwise it only notes who was heard. */
function sweep(peer: Peer, nowMs: number, mayAct: boolean): boolean {
  const { phase, node } = peer;
  switch (phase.at) {
    case "handshake": // says nothing [D03]
      return mayAct && nowMs >= peer.deadlineMs && close(peer, "handshakeTimeout");
    case "login":
      if (!mayAct) return false;
      return nowMs >= peer.deadlineMs ? close(peer, peer.deadlineEnding) : isPinged(peer, nowMs);
    case "entering": // bounded by the registry's own deadline, and the admission's
      return mayAct && isPinged(peer, nowMs);
    case "open":
      if (isSeen(peer)) peer.lastSeenMs = nowMs;
      peer.isHeard = false;
      if (!mayAct) return false;
      if (nowMs - peer.lastSeenMs < node.config.heartbeatTimeoutMs) return isPinged(peer, nowMs);
      return close(peer, "heartbeatTimeout");
    case "closed":
      return false;
    default:
      phase satisfies never;
      return false;
  }
}

/** While it is not read it cannot be heard, which is not for long if it owes bytes only. */
function isSeen(peer: Peer): boolean {
  const { hasAnswered } = peer;
  peer.hasAnswered = false;
  if (isBehind(peer)) return hasAnswered;
  return peer.isHeard || peer.isWaiting || peer.inflatingBytes > 0;
}

/** From the handshake on, whatever else flows: some clients count nothing but pings. [D16] [§11] */
function isPinged(peer: Peer, nowMs: number): boolean {
  if (nowMs < peer.nextPingMs) return false;
  const { node, connection } = peer;
  const { heartbeatIntervalMs } = node.config;
  peer.nextPingMs = Math.max(
    peer.nextPingMs + heartbeatIntervalMs,
    nowMs + heartbeatIntervalMs / 2,
  );
  peer.pingCount = peer.pingCount === 0x7fffffff ? 1 : peer.pingCount + 1;
  peer.pingId = peer.pingCount;
  peer.pingSentMs = nowMs;
  const body = encodeHeartbeat(node.clock.now(), peer.pingId);
  if (connection.transport === "ws") {
    peer.pingPayload = body;
    connection.ping(body);
    return true;
  }
  const packet = encodeRequest(peer.version, Command.heartbeat, peer.pingId, 0, body);
  deliver(peer, packet, "control", body.length);
  return true;
}
