/** What comes of a connection that is no packet: signs of life, and of the end of a WebSocket. */
import type { EndingName } from "@holdfast/protocol";
import { close, type Peer } from "./peer.ts";

/** A response to a heartbeat of ours, or the pong that stands for one. */
export function heartbeatAnswered(peer: Peer, id: number): void {
  if (peer.pingId === 0 || id !== peer.pingId) return;
  peer.pingId = 0;
  peer.hasAnswered = true;
  const { node } = peer;
  node.metrics.roundTrip(peer.connection.transport, node.clock.monotonic() - peer.pingSentMs);
}

/** A WebSocket ping (null) or the payload of a pong: life, and perhaps the answer to our ping. */
export function alive(peer: Peer, pong: Uint8Array | null): void {
  if (peer.phase.at === "closed") return;
  peer.isHeard = true;
  if (pong === null) return;
  if (peer.phase.at === "open") peer.phase.held.proven = true;
  // A pong that repeats no ping of ours is tolerated, and tells nothing but life. [D32]
  if (peer.pingPayload === null || !isSame(peer.pingPayload, pong)) return;
  peer.pingPayload = null;
  heartbeatAnswered(peer, peer.pingId);
}

function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}

/** A WebSocket is over before its end: by a close frame, by a breach of RFC 6455, or unopened. */
export function leaving(peer: Peer, why: "closeFrame" | "violation" | "declined"): void {
  if (peer.phase.at === "closed") return;
  if (why === "violation") peer.node.metrics.decodeError(peer.connection.transport, "frame");
  close(peer, endingOf[why]);
}

const endingOf = {
  closeFrame: "clientLeft",
  violation: "badFrame",
  declined: "upgradeDeclined",
} as const satisfies Record<string, EndingName>;

/** [§11] */
export function textMessage(peer: Peer): void {
  if (peer.phase.at === "closed") return;
  peer.node.metrics.decodeError(peer.connection.transport, "text_frame");
  close(peer, "textMessage");
}
