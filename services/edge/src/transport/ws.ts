/**
 * WebSocket: one binary message is one packet. The handshake is the query of the upgrade. The port
 * is a plain one, so that every socket counts from its acceptance on, and nothing is kept for it
 * that this node does not know of. Frames are read and written by ws-connection.ts.
 */
import type { SocketHandler, TCPSocketListener } from "bun";
import { type ArrivalCount, createArrivals } from "./arrivals.ts";
import { claimPort } from "./tcp.ts";
import type {
  ConnectionEvents,
  Farewell,
  Gate,
  OutboundBudget,
  Refusal,
  Transport,
  TransportFaults,
} from "./transport.ts";
import { createTurnFlush } from "./turn-flush.ts";
import { WsConnection, type WsShared, type WsSocket } from "./ws-connection.ts";
import type { HeadFault, RequestHead } from "./ws-request.ts";
import {
  encodeAccepted,
  encodeDeclined,
  headRefused,
  judgeUpgrade,
  refused,
  type UpgradeRules,
} from "./ws-upgrade.ts";

export interface WsOptions<P> {
  readonly host: string;
  readonly port: number; // 0 takes a free one
  readonly rules: UpgradeRules;
  readonly acceptors: number;
  /** No message is too large up to this, whoever sends it. */
  readonly leastMessageBytes: number;
  readonly handshakeTimeoutMs: number;
  readonly closeLingerMs: number;
  readonly retryAfterSeconds: number;
  /** Sockets beyond the gate that may wait for their 503, and for their end behind it. */
  readonly turnedAwayMax: number;
  readonly budget: OutboundBudget;
  readonly gate: Gate;
  readonly arriving: ArrivalCount;
  /** Of connections, with those that arrive. */
  readonly isFull: () => boolean;
  /** Asked when the request is here, of a socket that was let in and counts. */
  readonly gateOfUpgrade: () => Refusal | null;
  readonly events: ConnectionEvents<P>;
  readonly faults: TransportFaults;
  readonly now: () => number; // monotonic milliseconds
}

export function createWsTransport<P>(options: WsOptions<P>): Transport {
  const shared: WsShared<P> = {
    ...options,
    flushLater: createTurnFlush((error) => options.faults.failed("ws", error)),
    lingering: new Set(),
    asked: (connection, chunk) => asking(connection, connection.request?.push(chunk) ?? null),
    excuse,
  };
  const open = new Set<WsConnection<P>>();
  const arrivals = createArrivals<WsSocket<P>>({
    ...{ waiting: options.arriving, isFull: options.isFull, look: guarded(opened) },
  });
  /** Sockets that are none of the node's connections; the oldest first. */
  const turnedAway = new Set<WsConnection<P>>();
  let listeners: TCPSocketListener<WsConnection<P> | null>[] = [];
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
      port = claimPort(options.host, options.port, "WebSocket clients (EDGE_WS_PORT)");
      listeners = Array.from({ length: options.acceptors }, listen);
    },
    suspend() {
      // The listener stays: one that is gone can only refuse, this one can say "later". [§10]
      isSuspended = true;
    },
    sweep(nowMs) {
      for (const connection of turnedAway) abortWhenDue(connection, nowMs);
      for (const connection of shared.lingering) abortWhenDue(connection, nowMs);
    },
    isLingering: () => shared.lingering.size > 0,
    async stop() {
      isSuspended = true;
      for (const listener of listeners) listener.stop(false);
      listeners = [];
      arrivals.stop();
      for (const connection of [...open, ...turnedAway]) connection.abort();
    },
  };

  function listen(): TCPSocketListener<WsConnection<P> | null> {
    const socket: SocketHandler<WsConnection<P> | null> = {
      binaryType: "uint8array",
      open: arrivals.take,
      data: guarded(received),
      drain: guarded((drained: WsSocket<P>) => drained.data?.drained()),
      close: guarded(closed),
      error(failed, error) {
        options.faults.failed("ws", error);
        failed.data?.abort();
      },
    };
    // The runtime takes `reusePort` here, though its types do not say so.
    const listening = { hostname: options.host, port, reusePort: true, data: null, socket };
    return Bun.listen(listening);
  }

  function opened(socket: WsSocket<P>): void {
    const refusal = isSuspended ? draining : options.gate("ws", socket);
    socket.setNoDelay(true);
    const connection = new WsConnection<P>(shared, socket);
    socket.data = connection;
    if (refusal === null) {
      open.add(connection);
      connection.peer = options.events.opened(connection);
    } else turnAway(connection, refusal);
  }

  /** It is told so once it has asked, since a client may take no answer before. [§4.3] */
  function turnAway(connection: WsConnection<P>, refusal: Refusal): void {
    options.faults.refused("ws", refusal.reason);
    connection.refusal = refusal;
    connection.lingerUntilMs = options.now() + options.handshakeTimeoutMs;
    const [oldest] = turnedAway;
    turnedAway.add(connection);
    // It has had the longest time to ask, and to read its answer.
    if (turnedAway.size > options.turnedAwayMax && oldest !== undefined) {
      if (!oldest.isEnding) options.faults.refusalCut();
      oldest.abort();
    }
  }

  function received({ data: connection }: WsSocket<P>, chunk: Uint8Array): void {
    if (!connection || connection.isEnding) return;
    if (connection.request === null) connection.read(chunk);
    else connection.readRequest(chunk);
  }

  function asking(connection: WsConnection<P>, head: RequestHead | HeadFault | null): void {
    const { peer, request } = connection;
    if (head === null) {
      if (peer !== null) options.events.held(peer);
      return;
    }
    const gate = () => connection.refusal ?? (isSuspended ? draining : options.gateOfUpgrade());
    const verdict =
      typeof head === "number" ? headRefused(head) : judgeUpgrade(head, options.rules, gate);
    if ("status" in verdict) {
      if (peer !== null) options.faults.refused("ws", verdict.reason);
      connection.decline(encodeDeclined(verdict));
    } else if (peer !== null && request !== null) {
      const { rest } = request;
      connection.upgrade(encodeAccepted(verdict), verdict.userAgent);
      options.events.upgraded(peer, verdict.handshake);
      options.events.held(peer);
      if (rest.length > 0 && !connection.isEnding) connection.readBehind(rest);
    }
  }

  /** An upgrade that will not come: this node ends, or its time is over. */
  function excuse({ push }: Farewell, hasAsked: boolean): Uint8Array | null {
    if (push !== null || isSuspended) return encodeDeclined(refused(draining));
    if (!hasAsked) return null; // it has not shown that it speaks HTTP [D03]
    return encodeDeclined({ status: 408, text: "request timeout", reason: "handshake" });
  }

  function closed({ data: connection }: WsSocket<P>): void {
    if (!connection || connection.isClosed) return;
    connection.release();
    open.delete(connection);
    turnedAway.delete(connection);
    if (connection.peer !== null) options.events.closed(connection.peer, false);
  }

  /** A throw in a handler leaves the socket open: end it here, and only it. */
  function guarded<A extends unknown[]>(handler: (socket: WsSocket<P>, ...rest: A) => void) {
    return (socket: WsSocket<P>, ...rest: A): void => {
      try {
        handler(socket, ...rest);
      } catch (error) {
        options.faults.failed("ws", error);
        socket.terminate();
      }
    };
  }
}

function abortWhenDue<P>(connection: WsConnection<P>, nowMs: number): void {
  if (nowMs >= connection.lingerUntilMs) connection.abort();
}
