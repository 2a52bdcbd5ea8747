/** The peers of this node, by connection id, and how many there are of each kind. */
import type { Peer } from "./peer.ts";

export type ConnectionState = "handshake" | "unauthenticated" | "ready" | "draining";
export type Counts = Record<"tcp" | "ws", Record<ConnectionState, number>>;

export interface Hub {
  readonly peers: ReadonlyMap<string, Peer>;
  /** Sockets by transport and state; one that lingers after its Close is "draining". */
  readonly counts: Counts;
  readonly sockets: number;
  readonly unauthenticated: number;
  nextId(): string;
  add(peer: Peer): void;
  /** From here nothing finds the peer any more; its socket may linger. */
  remove(peer: Peer): void;
  moved(peer: Peer, from: ConnectionState | null, to: ConnectionState | null): void;
  /** A peer that waited, in a drain, for its last answer has it. Replaced by the drain. */
  finished: (peer: Peer) => void;
}

export function createHub(): Hub {
  const peers = new Map<string, Peer>();
  const none = { handshake: 0, unauthenticated: 0, ready: 0, draining: 0 };
  const counts: Counts = { tcp: { ...none }, ws: { ...none } };
  let sockets = 0;
  let counter = 0;

  return {
    peers,
    counts,
    get sockets() {
      return sockets;
    },
    get unauthenticated() {
      const { tcp, ws } = counts;
      return tcp.handshake + tcp.unauthenticated + ws.handshake + ws.unauthenticated;
    },
    // The node's id holds a boot id, so node and counter together are never used twice.
    nextId: () => (++counter).toString(36),
    finished: () => {},
    add: (peer) => void peers.set(peer.id, peer),
    remove: (peer) => void peers.delete(peer.id),
    moved(peer, from, to) {
      const count = counts[peer.connection.transport];
      if (from === null) sockets++;
      else count[from]--;
      if (to === null) sockets--;
      else count[to]++;
    },
  };
}
