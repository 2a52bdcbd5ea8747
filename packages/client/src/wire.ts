/**
 * A connection at the level of packets, for tests, fuzzing and demonstrations. It does nothing by
 * itself: no login, no heartbeat, no answer to a close frame; only pings are answered, unless told
 * otherwise. Every wait has a deadline, and says what came instead.
 */
import type { Packet, Response, Version } from "@holdfast/protocol";
import { openTcpWire } from "./wire-tcp.ts";
import { openWsWire } from "./wire-ws.ts";

export { DeadlineError } from "./deadline.ts";
export { HttpUpgradeError } from "./errors.ts";

export interface WireOptions {
  /** `tcp://host:port` or `ws://host:port/path`. */
  readonly url: string;
  readonly version?: Version; // default 1
  readonly platform?: number; // default 9
  /** TCP: these bytes instead of a good handshake; null sends none. */
  readonly handshake?: Uint8Array | null;
  /** WebSocket: this query instead of a good one, without a question mark. */
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** For the connection, and the default of every wait. */
  readonly timeoutMs?: number; // default 5,000
  readonly localAddress?: string;
  /** WebSocket: false leaves pings unanswered. */
  readonly autoPong?: boolean; // default true
  /** True: after the peer's FIN our own direction stays open until `end`. */
  readonly allowHalfOpen?: boolean; // default false
}

export interface RequestOptions {
  /** For the header of the packet, 0 to 65,535. */
  readonly timeoutMs?: number; // default 0
  readonly deadlineMs?: number;
}

export interface WireClosed {
  /** The Close push, if one came. */
  readonly closePush: { readonly code: number; readonly reason: string } | null;
  /** Of the close frame; null on TCP, without a frame, and without a code in it. */
  readonly wsCode: number | null;
  readonly wsReason: string;
  /** Bytes of packets and messages that came behind the Close push or the close frame. */
  readonly bytesAfterClose: number;
  /** "local": this side ended it with `reset`, or the peer broke the rules of RFC 6455. */
  readonly how: "fin" | "reset" | "local";
}

export interface Wire {
  send(packet: Packet): void;
  /** TCP: as they are. WebSocket: as one binary message. */
  sendBytes(bytes: Uint8Array): void;
  /** WebSocket only, as are all that follow up to `sendClose`; on TCP they throw. */
  sendText(text: string): void;
  /** One binary message, a frame for each part. */
  sendFragments(parts: readonly Uint8Array[]): void;
  /** Any frame, also a wrong one. */
  sendFrame(frame: WireFrame): void;
  ping(payload: Uint8Array): void;
  pong(payload: Uint8Array): void;
  /** Code null: a close frame without one. The socket stays open. */
  sendClose(code: number | null, reason?: string): void;

  /** Sends with the next id, from 1, and waits for the response with that id. */
  request(command: number, body: Uint8Array, options?: RequestOptions): Promise<Response>;
  /** The next packet, in order of arrival, that no `request` waited for. */
  next(deadlineMs?: number): Promise<Packet>;
  nextPing(deadlineMs?: number): Promise<Uint8Array>;
  nextPong(deadlineMs?: number): Promise<Uint8Array>;
  nextText(deadlineMs?: number): Promise<string>;
  /** All that ever came. */
  readonly pings: readonly Uint8Array[];
  readonly pongs: readonly Uint8Array[];

  /** Resolves when the peer has ended the connection, or it broke. Never rejects. */
  readonly closed: Promise<WireClosed>;
  /** `closed`, with a deadline. */
  waitClosed(deadlineMs?: number): Promise<WireClosed>;
  /** Stops reading: the peer meets real back-pressure, and its end is not seen until `resume`. */
  pause(): void;
  resume(): void;
  /** Ends our direction with a FIN; the peer may go on sending. */
  end(): void;
  /** Drops the connection with a reset. */
  reset(): void;
  /** Of packets, messages and frames; the answer to an upgrade does not count. */
  readonly receivedBytes: number;
  /** Sent, but still waiting in this process. */
  readonly bufferedBytes: number;
}

export interface WireFrame {
  readonly opcode: number;
  readonly payload: Uint8Array;
  readonly isFinal?: boolean; // default true
  readonly isMasked?: boolean; // default true
}

/**
 * Resolves once connected and, on WebSocket, upgraded. Rejects with HttpUpgradeError when the
 * upgrade is refused.
 */
export function openWire(options: WireOptions): Promise<Wire> {
  const { protocol } = new URL(options.url);
  if (protocol === "tcp:") return openTcpWire(options);
  if (protocol === "ws:" || protocol === "wss:") return openWsWire(options);
  return Promise.reject(new Error(`Cannot open ${options.url}: tcp, ws and wss are known`));
}
