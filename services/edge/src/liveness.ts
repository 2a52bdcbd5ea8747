/**
 * One sweep per node compares every peer's deadlines with the clock: no timer per connection, and
 * a packet sets a flag, which moves its deadline at the next sweep. [§7.2] [§11]
 */
import { Command, encodeHeartbeat, encodeRequest } from "@holdfast/protocol";
import type { EdgeNode } from "./node.ts";
import { close, deliver, type Peer } from "./peer.ts";

export const sweepIntervalMs = 250;

/** A sweep this late means that the process stood still: what came meanwhile is not read yet. */
const stallMs = 2000;

export function createSweep(node: EdgeNode): (nowMs: number) => void {
  let lastMs = node.clock.monotonic();

  return (nowMs) => {
    const lateMs = nowMs - lastMs - sweepIntervalMs;
    lastMs = nowMs;
    for (const peer of node.hub.peers.values()) {
      if (lateMs > stallMs) forgive(peer, lateMs, nowMs);
      else sweep(peer, nowMs);
    }
  };
}

/** While nothing was read, nobody can have been heard; who has been heard since needs no pardon. */
function forgive(peer: Peer, lateMs: number, nowMs: number): void {
  peer.lastSeenMs = Math.min(nowMs, peer.lastSeenMs + lateMs);
  peer.deadlineMs += lateMs;
}

function sweep(peer: Peer, nowMs: number): void {
  const { phase, node } = peer;
  switch (phase.at) {
    case "handshake":
      if (nowMs >= peer.deadlineMs) close(peer, "handshakeTimeout"); // says nothing [D03]
      return;
    case "login":
      if (nowMs >= peer.deadlineMs) close(peer, peer.deadlineEnding);
      else pingWhenDue(peer, nowMs);
      return;
    case "entering":
      pingWhenDue(peer, nowMs);
      return; // bounded by the registry's own deadline
    case "open":
      if (peer.isHeard) peer.lastSeenMs = nowMs;
      peer.isHeard = false;
      if (nowMs - peer.lastSeenMs >= node.config.heartbeatTimeoutMs)
        close(peer, "heartbeatTimeout");
      else pingWhenDue(peer, nowMs);
      return;
    case "closed":
      return;
    default:
      phase satisfies never;
  }
}

/** From the handshake on, whatever else flows: some clients count nothing but pings. [D16] [§11] */
function pingWhenDue(peer: Peer, nowMs: number): void {
  if (nowMs < peer.nextPingMs) return;
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
    return;
  }
  const packet = encodeRequest(peer.version, Command.heartbeat, peer.pingId, 0, body);
  deliver(peer, packet, "control", body.length);
}
