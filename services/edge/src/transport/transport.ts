/**
 * The seam between sockets and peers. A transport turns sockets into connections and tells one
 * `ConnectionEvents` what happens to them; it decides nothing and never imports a peer.
 */
import type { Handshake } from "@holdfast/protocol";

/** How a connection is to end, once what was sent before has been written. [§10] */
export interface Farewell {
  /** The Close push, already encoded; null under closeNotify "none", and where nothing is told. */
  readonly push: Uint8Array | null;
  /** The WebSocket close frame; null sends none. */
  readonly frame: { readonly code: number; readonly reason: string } | null;
  /** Drop what still waits: the peer does not read. */
  readonly discard: boolean;
}

/** One accepted socket. What exists once per connection is a small class: there are 100,000. */
export interface Connection {
  readonly transport: "tcp" | "ws";
  /** The User-Agent of a WebSocket upgrade, cut to 64 characters; empty on TCP. */
  readonly userAgent: string;
  /** Of the client, as far as it is known; empty once the socket is gone. */
  readonly remoteAddress: string;
  /** Bytes sent by us that the kernel has not taken yet. */
  readonly pendingBytes: number;
  /** WebSocket: bytes kept of what is not a whole message, or a whole request, yet. TCP: 0. */
  readonly heldBytes: number;
  /** The kernel took less than it was given: `drained` will be told when it has taken all. */
  readonly isBlocked: boolean;
  /**
   * Queues one packet; it is written with the others of this turn of the event loop, in order.
   * False: it did not fit the connection's or the node's bound. Part of it may be on the wire, so
   * the caller MUST end the connection, and discard. [I6]
   */
  send(packet: Uint8Array): boolean;
  /** Writes what this turn has queued now, as far as the kernel takes it. */
  flush(): void;
  /** WebSocket: a ping frame. TCP has none; the caller sends a heartbeat request instead. */
  ping(payload: Uint8Array): void;
  /**
   * Reads no more until `resume`. What has been read already: TCP still tells it, a WebSocket keeps
   * it after the frame that is being told.
   */
  pause(): void;
  /** Reads on; a WebSocket first what it has kept, within this call. */
  resume(): void;
  /** Says farewell, ends the sending direction, lingers, then destroys. Once. */
  end(farewell: Farewell): void;
  /** Destroys at once, dropping what waits. */
  abort(): void;
}

/** What happens to connections. `P` is whatever `opened` returned. */
export interface ConnectionEvents<P> {
  /** It counts from here; what it speaks is not known yet. */
  opened(connection: Connection): P;
  /** WebSocket: its upgrade is granted. On TCP the handshake is the first bytes of the stream. */
  upgraded(peer: P, handshake: Handshake): void;
  /** So many bytes have come off the socket, and are told next. */
  begins(peer: P, bytes: number): void;
  /** They have been told, or kept. */
  ends(peer: P, bytes: number): void;
  /** WebSocket: a ping, a pong or a close; else a part of a message that is not over. */
  frame(peer: P, isControl: boolean): void;
  /** TCP: a chunk, cut anywhere. WebSocket: one binary message. The bytes are the receiver's. */
  data(peer: P, chunk: Uint8Array): void;
  /** WebSocket: the most a message may have just now; a larger one is a violation. */
  messageBytesMax(peer: P): number;
  /** `heldBytes` of its connection is another. The caller may end it. */
  held(peer: P): void;
  /** A WebSocket text message has begun. [§11] */
  text(peer: P): void;
  /** A WebSocket ping, which is answered already, or a pong; its payload, null of a ping. */
  alive(peer: P, pong: Uint8Array | null): void;
  /** WebSocket: it is over. The receiver MUST end the connection, which knows what to answer. */
  leaving(peer: P, why: "closeFrame" | "violation" | "declined"): void;
  /** The kernel has taken all that waited. Never from within `send` or `flush`. */
  drained(peer: P): void;
  /** Exactly once, whoever ended it. `byPeer`: it said so in order, by a FIN of TCP. */
  closed(peer: P, byPeer: boolean): void;
}

/** Why somebody is not let in, and how an upgrade is answered then; TCP has no such word. */
export interface Refusal {
  readonly reason: "limit" | "draining" | "unauthenticated" | "unavailable" | "ip_rate" | "ip_open";
  readonly status: 429 | 503;
  readonly retryAfterSeconds: number;
}

/** Who is at the gate. Looked at only where an address matters, since it has to be asked for. */
export interface Origin {
  /** Undefined or empty once the socket is gone: some leave in the moment they come. */
  readonly remoteAddress: string | undefined;
}

/** Asked before a connection is made, once for each. Null: come in. */
export type Gate = (transport: "tcp" | "ws", origin: Origin) => Refusal | null;

export interface Transport {
  readonly name: "tcp" | "ws";
  /** The bound port, so that tests can ask for port 0. Valid after `start`. */
  readonly port: number;
  start(): Promise<void>;
  /** Accepts no more; existing connections go on. WebSocket upgrades get 503 from here. */
  suspend(): void;
  /** Destroys connections that have lingered long enough. Called by the node's sweep. */
  sweep(nowMs: number): void;
  /** True while a Close may still be on its way to somebody: `stop` would cut it off. [§10] */
  isLingering(): boolean;
  /** Destroys what is left and closes the port. */
  stop(): Promise<void>;
}

/** What all connections of a node share: the bytes waiting to be written, and their bounds. */
export interface OutboundBudget {
  readonly connectionBytesMax: number;
  /** Small packets cost more memory than their bytes say. */
  readonly connectionPacketsMax: number;
  readonly nodeBytesMax: number;
  nodeBytes: number;
}

/** More waits than the node may hold: who does not read is not even told why it is ended. */
export function isNodeFull(budget: OutboundBudget): boolean {
  return budget.nodeBytes > budget.nodeBytesMax;
}

/** Reported by a transport; the edge counts them. */
export interface TransportFaults {
  refused(transport: "tcp" | "ws", reason: Refusal["reason"] | "handshake" | "origin"): void;
  /** A socket was ended before it could be told so. */
  refusalCut(): void;
  written(transport: "tcp" | "ws", bytes: number): void;
  failed(transport: "tcp" | "ws", error: unknown): void;
}
