/**
 * WebSocket: one binary message is one packet. The handshake is the query of the upgrade.
 * Messages wait in our own queue once the library reports back-pressure, so that nothing is
 * dropped without a word at its `backpressureLimit`. [§11]
 */
import { decodeQueryHandshake, type Handshake, ProtocolError } from "@holdfast/protocol";
import type { Server, ServerWebSocket } from "bun";
import { claimPort } from "./tcp.ts";
import {
  type Connection,
  type ConnectionEvents,
  type Farewell,
  type Gate,
  isNodeFull,
  type OutboundBudget,
  type Refusal,
  type Transport,
  type TransportFaults,
} from "./transport.ts";
import { createTurnFlush, type Flushable } from "./turn-flush.ts";

export interface WsOptions<P> {
  readonly host: string;
  readonly port: number; // 0 takes a free one
  readonly paths: readonly string[]; // [D01]
  readonly acceptors: number;
  readonly messageBytesMax: number; // above every packet that our own check would pass
  readonly closeLingerMs: number;
  readonly retryAfterSeconds: number;
  readonly idleTimeoutSeconds: number; // above the heartbeat timeout, or Close 0 never comes
  readonly budget: OutboundBudget;
  readonly gate: Gate;
  readonly events: ConnectionEvents<P>;
  readonly faults: TransportFaults;
  readonly now: () => number;
}

/** Above all that the library gathers before it writes. */
const corkBytesMax = 64 * 1024;

interface Shared<P> {
  readonly options: WsOptions<P>;
  readonly flushLater: (connection: Flushable) => void;
  readonly lingering: Set<WsConnection<P>>;
  /**
   * Until when the last close frame may be on its way. The library reports the end at once, and
   * keeps the socket for itself: it reads and discards until the peer leaves, or for some seconds.
   */
  departingUntilMs: number;
}

/** Waits in `ws.data` from the upgrade until the socket is open, then the connection does. */
interface Upgrade {
  readonly handshake: Handshake;
  readonly userAgent: string;
}
type Socket<P> = ServerWebSocket<{ upgrade: Upgrade | null; connection: WsConnection<P> | null }>;

class WsConnection<P> implements Connection {
  readonly transport = "ws";
  readonly userAgent: string;
  peer!: P;
  private readonly shared: Shared<P>;
  private readonly socket: Socket<P>;
  private queue: Uint8Array[] = [];
  /** Bytes in `queue`, and bytes the library holds since it reported back-pressure. */
  private queuedBytes = 0;
  private heldBytes = 0;
  private isDirty = false;
  private farewell: Farewell | null = null;
  isEnding = false;
  isClosed = false;
  lingerUntilMs = 0;

  constructor(shared: Shared<P>, socket: Socket<P>, userAgent: string) {
    this.shared = shared;
    this.socket = socket;
    this.userAgent = userAgent;
  }

  get pendingBytes(): number {
    return this.queuedBytes + this.heldBytes;
  }

  get remoteAddress(): string {
    const address: string | undefined = this.socket.remoteAddress; // the runtime's type is wrong
    return address ?? "";
  }

  get isBlocked(): boolean {
    return this.heldBytes > 0;
  }

  send(packet: Uint8Array): boolean {
    if (this.isEnding || this.isClosed) return true; // nothing follows a Close [I4]
    if (!this.fits(packet)) {
      this.flush();
      if (!this.fits(packet)) return false;
    }
    this.queue.push(packet);
    this.queuedBytes += packet.length;
    const { budget } = this.shared.options;
    budget.nodeBytes += packet.length;
    if (isNodeFull(budget)) {
      // The first packet of a connection is always let in; in a full node it must leave at once.
      this.flush();
      if (this.pendingBytes > 0 && isNodeFull(budget)) return false;
    }
    this.markDirty();
    return true;
  }

  ping(payload: Uint8Array): void {
    if (!this.isEnding && !this.isClosed) this.socket.ping(payload);
  }

  /** The library has no back-pressure on reading; its bound is the size of a message. */
  pause(): void {}
  resume(): void {}

  end(farewell: Farewell): void {
    if (this.isEnding || this.isClosed) return;
    this.isEnding = true;
    this.farewell = farewell;
    if (farewell.discard) this.forget();
    if (farewell.push !== null) {
      this.queue.push(farewell.push);
      this.queuedBytes += farewell.push.length;
      this.shared.options.budget.nodeBytes += farewell.push.length;
    }
    this.lingerUntilMs = this.shared.options.now() + this.shared.options.closeLingerMs;
    this.shared.lingering.add(this);
    if (farewell.discard && isNodeFull(this.shared.options.budget)) this.abort();
    else this.flush();
  }

  abort(): void {
    if (this.isClosed) return;
    this.isEnding = true;
    this.socket.terminate();
  }

  flush(): void {
    this.isDirty = false;
    if (this.isClosed) return;
    if (this.queue.length === 1) this.write();
    else if (this.queue.length > 1) this.socket.cork(() => this.write());
    if (this.isEnding && this.queue.length === 0) this.finish();
  }

  /** False: more pongs wait for the client than its bound, or the node's, allows. [I6] */
  takesPongs(): boolean {
    const { budget } = this.shared.options;
    const bytes = this.socket.getBufferedAmount();
    // A little may leave with this turn, and then no `drained` would come to say so.
    if (bytes < corkBytesMax) return true;
    this.hold(bytes);
    return this.pendingBytes <= budget.connectionBytesMax && !isNodeFull(budget);
  }

  /** The library has written what it held. */
  drained(): void {
    this.hold(this.socket.getBufferedAmount());
    this.flush();
    if (!this.isBlocked && !this.isEnding) this.shared.options.events.drained(this.peer);
  }

  release(): void {
    this.isClosed = true;
    this.forget();
    this.hold(0);
    this.shared.lingering.delete(this);
  }

  /** Ends the sending direction, after all packets. Never waits for an answering frame. [§10] */
  private finish(): void {
    const { farewell } = this;
    if (farewell === null || this.isClosed) return;
    // From its close() on, the library keeps what it holds out of our sight; terminate() drops it.
    if (this.socket.getBufferedAmount() > 0) return; // `drained` comes back here, or `sweep` aborts
    this.farewell = null;
    if (farewell.frame === null) {
      this.socket.terminate();
      return;
    }
    this.shared.departingUntilMs = this.lingerUntilMs;
    this.socket.close(farewell.frame.code, farewell.frame.reason);
  }

  private fits(packet: Uint8Array): boolean {
    const pending = this.pendingBytes;
    if (pending === 0) return true;
    const { budget } = this.shared.options;
    return (
      pending + packet.length <= budget.connectionBytesMax &&
      this.queue.length < budget.connectionPacketsMax &&
      budget.nodeBytes + packet.length <= budget.nodeBytesMax
    );
  }

  private write(): void {
    const { options } = this.shared;
    let sent = 0;
    let bytes = 0;
    while (sent < this.queue.length && this.heldBytes === 0) {
      const packet = this.queue[sent++]!; // sent < length
      const result = this.socket.send(packet, false);
      if (result === 0) {
        // Dropped: there is a hole in the stream now.
        this.abort();
        return;
      }
      bytes += packet.length;
      if (result < 0) this.hold(this.socket.getBufferedAmount());
    }
    if (sent === this.queue.length) this.queue.length = 0;
    else this.queue.splice(0, sent);
    this.queuedBytes -= bytes;
    options.budget.nodeBytes -= bytes;
    options.faults.written("ws", bytes);
  }

  private hold(bytes: number): void {
    this.shared.options.budget.nodeBytes += bytes - this.heldBytes;
    this.heldBytes = bytes;
  }

  private forget(): void {
    this.shared.options.budget.nodeBytes -= this.queuedBytes;
    this.queuedBytes = 0;
    this.queue = [];
  }

  private markDirty(): void {
    if (this.isDirty) return;
    this.isDirty = true;
    this.shared.flushLater(this);
  }
}

export function createWsTransport<P>(options: WsOptions<P>): Transport {
  const flushLater = createTurnFlush((error) => options.faults.failed("ws", error));
  const shared: Shared<P> = { options, flushLater, lingering: new Set(), departingUntilMs: 0 };
  const open = new Set<WsConnection<P>>();
  let servers: Server<{ upgrade: Upgrade | null; connection: WsConnection<P> | null }>[] = [];
  const { retryAfterSeconds } = options;
  const draining: Refusal = { reason: "draining", status: 503, retryAfterSeconds };
  let isSuspended = false;
  let port = 0;

  return {
    name: "ws",
    get port() {
      return port;
    },
    async start() {
      port = claimPort(options.host, options.port);
      servers = Array.from({ length: options.acceptors }, serve);
    },
    suspend() {
      // The listener stays: one that is gone can only refuse, this one can say "later". [§10]
      isSuspended = true;
    },
    sweep(nowMs) {
      for (const connection of shared.lingering) {
        if (nowMs >= connection.lingerUntilMs) connection.abort();
      }
    },
    isLingering: () => shared.lingering.size > 0 || options.now() < shared.departingUntilMs,
    async stop() {
      isSuspended = true;
      for (const connection of open) connection.abort();
      // stop() resolves only when the last WebSocket is gone: they have just been destroyed.
      for (const server of servers) void server.stop(true);
      servers = [];
    },
  };

  function serve() {
    return Bun.serve<{ upgrade: Upgrade | null; connection: WsConnection<P> | null }>({
      hostname: options.host,
      port,
      reusePort: true,
      development: false,
      maxRequestBodySize: 1024,
      fetch: upgrade,
      error(error) {
        options.faults.failed("ws", error);
        return new Response("internal error", { status: 500 });
      },
      websocket: {
        data: {} as { upgrade: Upgrade | null; connection: WsConnection<P> | null },
        perMessageDeflate: false, // [§4.2]
        sendPings: false, // ours go out whatever else flows [§11]
        idleTimeout: options.idleTimeoutSeconds,
        maxPayloadLength: options.messageBytesMax,
        // Never reached: our own bound comes first, and counts what waits here too.
        backpressureLimit: options.budget.connectionBytesMax + 32 * 1024 * 1024,
        closeOnBackpressureLimit: false,
        open: guarded(opened),
        message: guarded(received),
        ping: guarded((socket: Socket<P>) => alive(socket, null)),
        pong: guarded(alive),
        drain: guarded((socket: Socket<P>) => socket.data.connection?.drained()),
        close: guarded(closed),
      },
    });
  }

  function upgrade(request: Request, server: Server<Socket<P>["data"]>): Response | undefined {
    // Made of what the client wrote into its Host header.
    const url = URL.parse(request.url);
    if (url === null) return misled("bad request");
    if (!options.paths.includes(url.pathname)) return answer(404, "not found");
    const origin = { remoteAddress: server.requestIP(request)?.address ?? "" };
    const refusal = isSuspended ? draining : options.gate("ws", origin);
    if (refusal !== null) {
      options.faults.refused("ws", refusal.reason);
      const headers = { "Retry-After": String(refusal.retryAfterSeconds) };
      const text = refusal.status === 429 ? "too many requests" : "service unavailable";
      return answer(refusal.status, text, headers);
    }
    let handshake: Handshake;
    try {
      handshake = decodeQueryHandshake(url.searchParams);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return misled(error.fault); // [D05]
    }
    const userAgent = (request.headers.get("user-agent") ?? "").slice(0, 64);
    const data = { upgrade: { handshake, userAgent }, connection: null };
    if (server.upgrade(request, { data })) return undefined;
    options.faults.refused("ws", "handshake");
    return answer(426, "websocket upgrade expected");
  }

  function misled(reason: string): Response {
    options.faults.refused("ws", "handshake");
    return answer(400, reason);
  }

  function opened(socket: Socket<P>): void {
    const { upgrade } = socket.data;
    if (upgrade === null) throw new Error("Cannot open a WebSocket that was not upgraded here");
    const connection = new WsConnection<P>(shared, socket, upgrade.userAgent);
    socket.data.connection = connection;
    socket.data.upgrade = null;
    socket.binaryType = "uint8array";
    open.add(connection);
    connection.peer = options.events.opened(connection, upgrade.handshake);
  }

  function received(socket: Socket<P>, message: string | Uint8Array): void {
    const { connection } = socket.data;
    if (!connection || connection.isEnding) return;
    if (typeof message === "string") options.events.text(connection.peer);
    else options.events.data(connection.peer, message);
  }

  function alive(socket: Socket<P>, payload: Uint8Array | null): void {
    const { connection } = socket.data;
    if (!connection || connection.isEnding) return;
    // The library answers a ping by itself, and its answer waits for the client like any packet.
    const isFitting = payload !== null || connection.takesPongs();
    options.events.alive(connection.peer, payload);
    if (!isFitting) options.events.overflowed(connection.peer);
  }

  function closed(socket: Socket<P>, code: number): void {
    const { connection } = socket.data;
    if (!connection || connection.isClosed) return;
    connection.release();
    open.delete(connection);
    // 1006 is the library's word for an end without a close frame.
    options.events.closed(connection.peer, code !== 1006);
  }

  function guarded<A extends unknown[]>(handler: (socket: Socket<P>, ...rest: A) => void) {
    return (socket: Socket<P>, ...rest: A): void => {
      try {
        handler(socket, ...rest);
      } catch (error) {
        options.faults.failed("ws", error);
        socket.terminate();
      }
    };
  }
}

/** Not kept alive: what is no WebSocket is in none of our counts, and has no deadline of ours. */
function answer(status: number, text: string, headers: Record<string, string> = {}): Response {
  return new Response(text, { status, headers: { ...headers, Connection: "close" } });
}
