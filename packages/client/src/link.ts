/**
 * One connection with the protocol on it, from the handshake to its end: pairs responses with
 * requests, answers heartbeats, notices a dead peer. Login and coming back are the client's.
 */
import {
  CloseCode,
  type CloseHints,
  Command,
  closeCodeNames,
  Decoder,
  type DecoderLimits,
  decodeClose,
  decodeMessage,
  encodeHeartbeat,
  encodeRequest,
  encodeResponse,
  type Metadata,
  type Packet,
  type Push,
  type Request,
  type Response,
  Status,
  type Version,
} from "@holdfast/protocol";
import type { Alarms, ClientClock } from "./alarms.ts";
import { createDeferred } from "./deferred.ts";
import { ConnectionLost } from "./errors.ts";
import { createPendingRequests } from "./pending-requests.ts";
import type { OpenTransport, Transport, TransportEvents } from "./transport.ts";

/** What the Close push said. [§7.1] */
export interface Close {
  readonly code: number;
  /** "Unknown" for a code that has no name. */
  readonly name: string;
  readonly reason: string;
  /** What the server would have us do next; not there if it said nothing of the kind. */
  readonly hints?: CloseHints;
}

export interface Loss {
  /** Null: the connection ended without a Close push. */
  readonly close: Close | null;
  readonly error: ConnectionLost;
}

export interface LinkRequest {
  readonly timeoutMs: number;
  readonly metadata?: Metadata | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onResponse?: ((response: Response) => void) | undefined;
}

export interface Link {
  /** Rejects with ConnectionLost, RequestTimeout, or the reason of the signal. */
  request(command: number, body: Uint8Array, options: LinkRequest): Promise<Response>;
  /** Milliseconds there and back. */
  heartbeat(signal?: AbortSignal): Promise<number>;
  /** Requests that may be sent before one is refused. */
  readonly free: number;
  /** Ends it in good order; resolves when it has ended, a second later at most. */
  close(): Promise<void>;
  drop(reason: string): void;
  /** Resolves once, when no more can be sent or received. Never rejects. */
  readonly lost: Promise<Loss>;
  /** The same at once; null while the connection lives. */
  readonly loss: Loss | null;
}

export interface LinkOptions {
  readonly url: string;
  readonly version: Version;
  readonly platform: number;
  readonly limits: DecoderLimits;
  readonly heartbeatIntervalMs: number;
  readonly dialTimeoutMs: number;
  readonly inflightMax: number;
  readonly outboundBytesMax: number;
  readonly clock: ClientClock;
  readonly alarms: Alarms;
  readonly open: OpenTransport;
  readonly onPush: (push: Push) => void;
}

const closeTimeoutMs = 1_000;
/** A bit less than we wait: the word of the server on what became of a request says more. */
function toldTimeoutMs(waitMs: number): number {
  return Math.max(1, waitMs - Math.min(250, Math.ceil(waitMs / 10)));
}

const requestTimeoutMsMax = 60_000; // [§5.9]

/** Rejects when the connection cannot be opened within `dialTimeoutMs`. */
export async function openLink(options: LinkOptions): Promise<Link> {
  const relay = createRelay();
  const giveUp = new AbortController();
  const cancel = options.alarms.after(options.dialTimeoutMs, () => giveUp.abort());
  const { version, platform } = options;
  const url = new URL(options.url);
  try {
    const { signal } = giveUp;
    const transport = await options.open({ url, version, platform, signal, events: relay.events });
    const { link, events } = createLink(transport, options);
    relay.connect(events);
    return link;
  } finally {
    cancel();
  }
}

/** Keeps what a transport tells before there is a link to hear it, which is little. */
function createRelay() {
  let target: TransportEvents | null = null;
  const early: ((events: TransportEvents) => void)[] = [];

  return {
    events: {
      received: (bytes) => tell((events) => events.received(bytes)),
      alive: () => tell((events) => events.alive()),
      ended: (reason) => tell((events) => events.ended(reason)),
    } satisfies TransportEvents,
    connect(events: TransportEvents): void {
      target = events;
      for (const one of early) one(events);
    },
  };

  function tell(one: (events: TransportEvents) => void): void {
    if (target === null) early.push(one);
    else one(target);
  }
}

function createLink(transport: Transport, options: LinkOptions) {
  const { version, limits, clock, alarms, heartbeatIntervalMs } = options;
  const pending = createPendingRequests({ alarms });
  const decoder = new Decoder(version, limits);
  const lost = createDeferred<Loss>();
  const ended = createDeferred<void>(); // the transport is gone
  let loss: Loss | null = null;
  let receivedAtMs = clock.monotonic();
  let cancelBeat = alarms.after(heartbeatIntervalMs, beat);

  const link: Link = {
    request,
    heartbeat,
    close,
    drop,
    lost: lost.promise,
    get free() {
      return options.inflightMax - pending.size;
    },
    get loss() {
      return loss;
    },
  };
  return { link, events: { received, alive, ended: onEnded } };

  async function request(command: number, body: Uint8Array, asked: LinkRequest) {
    asked.signal?.throwIfAborted();
    if (loss !== null) throw loss.error;
    if (pending.size >= options.inflightMax) {
      throw new RangeError(`Cannot send request: ${pending.size} are unanswered`);
    }
    if (transport.bufferedBytes > options.outboundBytesMax) {
      throw new RangeError(`Cannot send request: ${transport.bufferedBytes} bytes wait`);
    }
    const waitMs = Math.min(Math.ceil(asked.timeoutMs), requestTimeoutMsMax);
    const timeoutMs = command > Command.reconnect ? toldTimeoutMs(waitMs) : waitMs;
    const metadata = asked.metadata === undefined ? undefined : { metadata: asked.metadata };
    const { id, response } = pending.add({ command, ...asked });
    try {
      transport.send(encodeRequest(version, command, id, timeoutMs, body, metadata));
    } catch (error) {
      pending.forget(id); // it does not fit into a packet
      throw error;
    }
    return await response;
  }

  async function heartbeat(signal?: AbortSignal): Promise<number> {
    const startMs = clock.monotonic();
    const body = encodeHeartbeat(clock.now());
    await request(Command.heartbeat, body, { timeoutMs: 2 * heartbeatIntervalMs, signal });
    return clock.monotonic() - startMs;
  }

  function beat(): void {
    const silentMs = clock.monotonic() - receivedAtMs;
    if (silentMs >= 2 * heartbeatIntervalMs) {
      drop(`nothing was received for ${Math.round(silentMs)} ms`);
      return;
    }
    cancelBeat = alarms.after(heartbeatIntervalMs, beat);
    // On WebSocket the server's pings do, if we can hear them. [§11]
    if (transport.isStream || !transport.hearsPings) heartbeat().catch(() => {});
  }

  function alive(): void {
    receivedAtMs = clock.monotonic();
  }

  function received(bytes: Uint8Array): void {
    alive();
    if (loss !== null) return;
    try {
      if (transport.isStream) readStream(bytes);
      else read(decodeMessage(bytes, version, limits));
    } catch (error) {
      drop(error instanceof Error ? error.message : String(error));
    }
  }

  function readStream(bytes: Uint8Array): void {
    decoder.push(bytes);
    for (let packet = decoder.next(); packet !== null; packet = decoder.next()) {
      read(packet);
      if (loss !== null) return;
    }
  }

  function read(packet: Packet): void {
    switch (packet.type) {
      case "response":
        pending.answer(packet);
        break;
      case "request":
        answer(packet);
        break;
      case "push":
        if (packet.command === Command.close) onClose(packet);
        else options.onPush(packet);
        break;
      default:
        packet satisfies never;
    }
  }

  /** With the same body, at once [§7.2]. No other request of a server is known. */
  function answer(asked: Request): void {
    if (asked.command !== Command.heartbeat) return;
    if (transport.bufferedBytes > options.outboundBytesMax) {
      drop("the server does not read");
      return;
    }
    const { command, requestId, body } = asked;
    transport.send(encodeResponse(version, command, requestId, Status.success, body));
  }

  /** The last packet of a connection [§10]: there is nothing to wait for. */
  function onClose(push: Push): void {
    const said = decodeClose(push.body);
    const name = closeCodeNames[said.code] ?? "Unknown";
    finish(`the server closed it: ${name} ${said.reason}`, { ...said, name });
    void close();
  }

  function onEnded(reason: string): void {
    finish(reason, null);
    ended.resolve();
  }

  function drop(reason: string): void {
    finish(reason, null);
    transport.destroy();
  }

  async function close(): Promise<void> {
    finish("this side closed it", null);
    transport.close();
    const cancel = alarms.after(closeTimeoutMs, () => {
      transport.destroy();
      ended.resolve();
    });
    await ended.promise;
    cancel();
  }

  function finish(reason: string, sent: Close | null): void {
    if (loss !== null) return;
    const error = new ConnectionLost(`Connection to ${options.url} was lost: ${reason}`);
    loss = { close: sent, error };
    cancelBeat();
    pending.failAll(error);
    lost.resolve(loss);
  }
}

/** True: a newer login, or a newer connection of the session, took the place of this one. */
export function isDuplicate(close: Close | null): boolean {
  return close?.code === CloseCode.connectDuplicate;
}

/** True: the session is over, and Reconnect would be refused. */
export function isSessionOver(close: Close | null): boolean {
  return close?.code === CloseCode.sessionExpired;
}
