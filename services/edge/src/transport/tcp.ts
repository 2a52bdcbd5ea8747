/**
 * Raw TCP: a byte stream in each direction. Several listeners share one port in one process,
 * because the runtime's accept backlog is fixed at 512 and a storm overflows it.
 */

import { listenFailure } from "@holdfast/runtime";
import type { Socket, SocketHandler, TCPSocketListener } from "bun";
import { type ArrivalCount, createArrivals } from "./arrivals.ts";
import { Outbox } from "./outbox.ts";
import {
  type Connection,
  type ConnectionEvents,
  type Farewell,
  type Gate,
  isNodeFull,
  type OutboundBudget,
  type Transport,
  type TransportFaults,
} from "./transport.ts";
import { abortLater, createTurnFlush, type Flushable } from "./turn-flush.ts";

export interface TcpOptions<P> {
  readonly host: string;
  readonly port: number; // 0 takes a free one
  readonly acceptors: number; // listeners on the port
  readonly closeLingerMs: number;
  readonly budget: OutboundBudget;
  readonly gate: Gate;
  readonly arriving: ArrivalCount;
  /** Of connections, with those that arrive. */
  readonly isFull: () => boolean;
  readonly events: ConnectionEvents<P>;
  readonly faults: TransportFaults;
  readonly now: () => number; // monotonic milliseconds
}

/** What the connections of one transport share, so that each keeps a single reference. */
interface Shared<P> {
  readonly options: TcpOptions<P>;
  /** Connections with packets to write at the end of this turn. */
  readonly flushLater: (connection: Flushable) => void;
  readonly lingering: Set<TcpConnection<P>>;
}

type TcpSocket<P> = Socket<TcpConnection<P> | null>;

class TcpConnection<P> implements Connection {
  readonly transport = "tcp";
  readonly userAgent = "";
  /** Set by `open`, before any other event can come. */
  peer: P | null = null;
  private readonly outbox: Outbox;
  private readonly shared: Shared<P>;
  private readonly socket: TcpSocket<P>;
  private isDirty = false;
  private isPaused = false;
  isBlocked = false;
  isEnding = false;
  isClosed = false;
  sawFin = false;
  /** When a connection that is ending is destroyed. */
  lingerUntilMs = 0;

  constructor(shared: Shared<P>, socket: TcpSocket<P>) {
    this.shared = shared;
    this.socket = socket;
    this.outbox = new Outbox(shared.options.budget);
  }

  get pendingBytes(): number {
    return this.outbox.pendingBytes;
  }

  get remoteAddress(): string {
    return this.socket.remoteAddress ?? "";
  }

  /** Its bytes are handed on as they come. */
  get heldBytes(): number {
    return 0;
  }

  send(packet: Uint8Array): boolean {
    if (this.isEnding || this.isClosed) return true; // nothing follows a Close [I4]
    if (!this.outbox.add(packet)) {
      // Much may have been sent within this one turn: see what the socket takes first.
      this.flush();
      if (!this.outbox.add(packet)) return false;
    }
    const { budget } = this.shared.options;
    if (isNodeFull(budget)) {
      // The first packet of a connection is always let in; in a full node it must leave at once.
      this.flush();
      if (this.pendingBytes > 0 && isNodeFull(budget)) return false;
    }
    this.markDirty();
    return true;
  }

  ping(): void {}

  pause(): void {
    if (this.isPaused || this.isClosed || this.isEnding) return;
    this.isPaused = true;
    this.socket.pause();
  }

  resume(): void {
    if (!this.isPaused || this.isClosed) return;
    this.isPaused = false;
    this.socket.resume();
  }

  end(farewell: Farewell): void {
    if (this.isEnding || this.isClosed) return;
    this.isEnding = true;
    if (farewell.discard) this.outbox.discard();
    if (farewell.push !== null) this.outbox.addLast(farewell.push);
    this.lingerUntilMs = this.shared.options.now() + this.shared.options.closeLingerMs;
    this.shared.lingering.add(this);
    this.socket.resume(); // a paused socket would never see the peer's FIN
    if (farewell.discard && isNodeFull(this.shared.options.budget)) this.abort();
    else this.flush();
  }

  abort(): void {
    if (this.isClosed) return;
    this.isEnding = true;
    this.outbox.clear();
    this.socket.terminate();
  }

  flush(): void {
    this.isDirty = false;
    if (this.isClosed) return;
    const { options } = this.shared;
    const written = this.outbox.flush(this);
    if (written > 0) options.faults.written("tcp", written);
    this.isBlocked = this.outbox.pendingBytes > 0;
    // FIN by shutdown(): with end(), unread input would reset the connection and lose the Close.
    if (this.isEnding && this.outbox.pendingBytes === 0) this.socket.shutdown();
  }

  /** For the outbox. */
  write(bytes: Uint8Array): number {
    const took = this.socket.write(bytes);
    // Its peer has reset it. Having told a write so, the runtime tells a paused socket no more.
    if (took < 0) abortLater(this);
    return took;
  }

  /** The socket is gone. */
  release(): void {
    this.isClosed = true;
    this.outbox.clear();
    this.shared.lingering.delete(this);
  }

  private markDirty(): void {
    if (this.isDirty) return;
    this.isDirty = true;
    this.shared.flushLater(this);
  }
}

export function createTcpTransport<P>(options: TcpOptions<P>): Transport {
  const flushLater = createTurnFlush((error) => options.faults.failed("tcp", error));
  const shared: Shared<P> = { options, flushLater, lingering: new Set() };
  const open = new Set<TcpConnection<P>>();
  const arrivals = createArrivals<TcpSocket<P>>({
    ...{ waiting: options.arriving, isFull: options.isFull, look: guarded(opened) },
  });
  let listeners: TCPSocketListener<TcpConnection<P> | null>[] = [];
  let port = 0;

  return {
    name: "tcp",
    get port() {
      return port;
    },
    async start() {
      port = claimPort(options.host, options.port, "TCP clients (EDGE_TCP_PORT)");
      listeners = Array.from({ length: options.acceptors }, () => listen(port));
    },
    suspend,
    sweep(nowMs) {
      for (const connection of shared.lingering) {
        if (nowMs >= connection.lingerUntilMs) connection.abort();
      }
    },
    isLingering: () => shared.lingering.size > 0,
    async stop() {
      suspend();
      arrivals.stop();
      for (const connection of open) connection.abort();
    },
  };

  function suspend(): void {
    for (const listener of listeners) listener.stop(false);
    listeners = [];
  }

  function listen(onPort: number): TCPSocketListener<TcpConnection<P> | null> {
    const socket: SocketHandler<TcpConnection<P> | null> = {
      binaryType: "uint8array", // small bodies are cheaper to take out of it than of a Buffer
      open: arrivals.take,
      data: guarded(received),
      drain: guarded(drained),
      end: guarded((ended: TcpSocket<P>) => {
        if (ended.data) ended.data.sawFin = true;
      }),
      close: guarded(closed),
      error(failed, error) {
        options.faults.failed("tcp", error);
        failed.data?.abort();
      },
    };
    // The runtime takes `reusePort` here, though its types do not say so.
    const listening = { hostname: options.host, port: onPort, reusePort: true, data: null, socket };
    return Bun.listen(listening);
  }

  function opened(socket: TcpSocket<P>): void {
    const refusal = options.gate("tcp", socket);
    if (refusal !== null) {
      // The cheapest place, and nothing is said: the peer's version is not known yet.
      options.faults.refused("tcp", refusal.reason);
      socket.end();
      return;
    }
    socket.setNoDelay(true);
    const connection = new TcpConnection<P>(shared, socket);
    socket.data = connection;
    open.add(connection);
    connection.peer = options.events.opened(connection);
  }

  function received(socket: TcpSocket<P>, chunk: Uint8Array): void {
    const connection = socket.data;
    if (!connection?.peer || connection.isEnding) return;
    const { events } = options;
    events.begins(connection.peer, chunk.length);
    events.data(connection.peer, chunk);
    events.ends(connection.peer, chunk.length);
  }

  function drained({ data: connection }: TcpSocket<P>): void {
    connection?.flush();
    if (!connection?.peer || connection.isBlocked || connection.isEnding) return;
    options.events.drained(connection.peer);
  }

  function closed(socket: TcpSocket<P>): void {
    const connection = socket.data;
    if (!connection || connection.isClosed) return;
    connection.release();
    open.delete(connection);
    if (connection.peer) options.events.closed(connection.peer, connection.sawFin);
  }

  /** A throw in a handler leaves the socket open: end it here, and only it. */
  function guarded<A extends unknown[]>(handler: (socket: TcpSocket<P>, ...rest: A) => void) {
    return (socket: TcpSocket<P>, ...rest: A): void => {
      try {
        handler(socket, ...rest);
      } catch (error) {
        options.faults.failed("tcp", error);
        socket.terminate();
      }
    };
  }
}

/**
 * With `reusePort` two processes share a port without a word; so bind once without it, to find
 * out that it is taken, and to learn a free one when asked for port 0.
 */
export function claimPort(host: string, port: number, what: string): number {
  try {
    const probe = Bun.listen({ hostname: host, port, exclusive: true, socket: { data() {} } });
    const bound = probe.port;
    probe.stop(true);
    return bound;
  } catch (error) {
    throw listenFailure({ what, host, port }, error);
  }
}
