/**
 * One socket of the WebSocket port, from its acceptance to its end: first an HTTP request, then
 * frames. What it answers to the request, and when it is let go, is for ws.ts.
 */
import type { Socket } from "bun";
import { Outbox, unframed } from "./outbox.ts";
import {
  type Connection,
  type ConnectionEvents,
  type Farewell,
  isNodeFull,
  type OutboundBudget,
  type Refusal,
  type TransportFaults,
} from "./transport.ts";
import { abortLater, type Flushable } from "./turn-flush.ts";
import { encodeCloseFrame, type FrameFault, Opening } from "./ws-frame.ts";
import { type Assembly, type FrameTarget, readFrames } from "./ws-reader.ts";
import { RequestReader } from "./ws-request.ts";

export type WsSocket<P> = Socket<WsConnection<P> | null>;

/** What the connections of one transport share, so that each keeps a single reference. */
export interface WsShared<P> {
  readonly closeLingerMs: number;
  readonly leastMessageBytes: number;
  readonly budget: OutboundBudget;
  readonly events: ConnectionEvents<P>;
  readonly faults: TransportFaults;
  readonly now: () => number;
  /** Connections with packets to write at the end of this turn. */
  readonly flushLater: (connection: Flushable) => void;
  readonly lingering: Set<WsConnection<P>>;
  /** More of its request is here. */
  readonly asked: (connection: WsConnection<P>, chunk: Uint8Array) => void;
  /** What is said to a socket that ends before its upgrade; null: nothing. */
  readonly excuse: (farewell: Farewell, hasAsked: boolean) => Uint8Array | null;
}

/** More than this is not left to the end of the turn: see first whether the socket takes pongs. */
const pongBytesMax = 16 * 1024;

export class WsConnection<P> implements Connection, FrameTarget {
  readonly transport = "ws";
  userAgent = "";
  /** Null: it was turned away when it came, and is none of the node's connections. */
  peer: P | null = null;
  /** Until it is upgraded. */
  request: RequestReader | null = new RequestReader();
  /** Why it is turned away, as soon as its request is here. */
  refusal: Refusal | null = null;
  assembly: Assembly | null = null;
  /** Came while it is paused. */
  private unread: Uint8Array[] | null = null;
  isPaused = false;
  private readonly outbox: Outbox;
  private readonly shared: WsShared<P>;
  private readonly socket: WsSocket<P>;
  /** Said at the end in the place of what the farewell says. */
  private lastWords: Uint8Array | null = null;
  /** Of the latest ping that could not be answered, since the socket takes no more. */
  private owedPong: Uint8Array | null = null;
  private isDirty = false;
  isBlocked = false;
  isEnding = false;
  isClosed = false;
  /** When a socket that is ending, or was turned away, is destroyed. */
  lingerUntilMs = 0;

  constructor(shared: WsShared<P>, socket: WsSocket<P>) {
    this.shared = shared;
    this.socket = socket;
    this.outbox = new Outbox(shared.budget, Opening.binary);
  }

  get pendingBytes(): number {
    return this.outbox.pendingBytes;
  }

  get remoteAddress(): string {
    return this.socket.remoteAddress ?? "";
  }

  get heldBytes(): number {
    const unfinished = this.assembly?.heldBytes ?? this.request?.heldBytes ?? 0;
    if (this.unread === null) return unfinished;
    return this.unread.reduce((sum, chunk) => sum + chunk.length, unfinished);
  }

  get leastMessageBytes(): number {
    return this.shared.leastMessageBytes;
  }

  send(packet: Uint8Array): boolean {
    if (this.isEnding || this.isClosed) return true; // nothing follows a Close [I4]
    if (!this.outbox.add(packet)) {
      // Much may have been sent within this one turn: see what the socket takes first.
      this.flush();
      if (!this.outbox.add(packet)) return false;
    }
    const { budget } = this.shared;
    if (isNodeFull(budget)) {
      // The first packet of a connection is always let in; in a full node it must leave at once.
      this.flush();
      if (this.isBlocked && isNodeFull(budget)) return false;
    }
    this.markDirty();
    return true;
  }

  /** A client may wait for nothing but pings, so it goes ahead of what waits. [§11] */
  ping(payload: Uint8Array): void {
    if (this.isEnding || this.isClosed || this.request !== null) return;
    if (this.isBlocked) this.outbox.addNext(payload, Opening.ping);
    else this.outbox.addLast(payload, Opening.ping);
    this.markDirty();
  }

  pause(): void {
    if (this.isPaused || this.isEnding) return;
    this.isPaused = true;
    if (!this.isClosed) this.socket.pause();
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    while (this.unread !== null && !this.isPaused) {
      const [chunk] = this.unread;
      this.unread = this.unread.length > 1 ? this.unread.slice(1) : null;
      if (chunk === undefined) continue;
      if (this.request === null) this.readChunk(chunk);
      else this.shared.asked(this, chunk);
    }
    if (!this.isPaused && !this.isClosed) this.socket.resume();
  }

  /** The answer to its request, before anything else. */
  upgrade(answer: Uint8Array, userAgent: string): void {
    this.request = null;
    this.userAgent = userAgent;
    this.outbox.addLast(answer, unframed);
    this.markDirty();
  }

  read(chunk: Uint8Array): void {
    const { events } = this.shared;
    events.begins(this.upgraded, chunk.length);
    const wasHolding = this.assembly !== null || this.unread !== null;
    if (this.isPaused) this.keep(chunk, true);
    else this.readChunk(chunk);
    const isHolding = this.assembly !== null || this.unread !== null;
    if (!this.isEnding && (wasHolding || isHolding)) this.released();
    events.ends(this.upgraded, chunk.length);
  }

  /** Bytes of its request, or, when it is paused, to be looked at when it has its turn. */
  readRequest(chunk: Uint8Array): void {
    const { peer } = this;
    const { events, asked } = this.shared;
    if (peer === null) {
      asked(this, chunk); // it is turned away
      return;
    }
    events.begins(peer, chunk.length);
    if (this.isPaused) {
      this.keep(chunk, true);
      this.released();
    } else asked(this, chunk);
    events.ends(peer, chunk.length);
  }

  /** Frames that came in one piece with the end of its request, and were counted with it. */
  readBehind(rest: Uint8Array): void {
    if (this.isPaused) this.keep(rest, false);
    else this.readChunk(rest);
    if (!this.isEnding) this.released();
  }

  /** Its request is answered with this, and the caller ends it. */
  decline(answer: Uint8Array): void {
    this.lastWords = answer;
    if (this.peer === null) this.end({ push: null, frame: null, discard: false });
    else this.shared.events.leaving(this.peer, "declined");
  }

  end({ push, frame, discard }: Farewell): void {
    if (this.isEnding || this.isClosed) return;
    this.isEnding = true;
    if (discard) this.outbox.discard();
    if (this.request === null) {
      if (push !== null) this.outbox.addLast(push);
      if (frame !== null) this.lastWords ??= encodeCloseFrame(frame.code, frame.reason);
    } else {
      this.lastWords ??= this.shared.excuse({ push, frame, discard }, this.request.hasBytes);
    }
    if (this.lastWords !== null) this.outbox.addLast(this.lastWords, unframed);
    this.forget();
    this.lingerUntilMs = this.shared.now() + this.shared.closeLingerMs;
    if (this.peer !== null) this.shared.lingering.add(this);
    this.socket.resume(); // a paused socket would never see the peer's FIN
    if (discard && isNodeFull(this.shared.budget)) this.abort();
    else this.flush();
  }

  abort(): void {
    if (this.isClosed) return;
    this.isEnding = true;
    this.forget();
    this.outbox.clear();
    this.socket.terminate();
  }

  flush(): void {
    this.isDirty = false;
    if (this.isClosed) return;
    const written = this.outbox.flush(this);
    if (written > 0) this.shared.faults.written("ws", written);
    this.isBlocked = this.outbox.wireBytes > 0;
    // FIN by shutdown(): with end(), unread input would reset the connection and lose the Close.
    if (this.isEnding && !this.isBlocked) this.socket.shutdown();
  }

  /** The socket takes bytes again. */
  drained(): void {
    if (this.owedPong !== null) this.outbox.addNext(this.owedPong, Opening.pong);
    this.owedPong = null;
    this.flush();
    if (this.isBlocked || this.isEnding || this.peer === null) return;
    this.shared.events.drained(this.peer);
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
    this.forget();
    this.outbox.clear();
    this.shared.lingering.delete(this);
  }

  messageBytesMax(): number {
    return this.shared.events.messageBytesMax(this.upgraded);
  }

  messageRead(bytes: Uint8Array): void {
    this.shared.events.data(this.upgraded, bytes);
  }

  textRead(): void {
    this.shared.events.text(this.upgraded);
  }

  /** Of a client that does not read only the latest is answered: RFC 6455, section 5.5.3. */
  pingRead(payload: Uint8Array): void {
    if (!this.isBlocked && this.outbox.wireBytes > pongBytesMax) this.flush();
    if (this.isBlocked) {
      this.owedPong = payload;
    } else {
      this.outbox.addLast(payload, Opening.pong);
      this.markDirty();
    }
    this.shared.events.alive(this.upgraded, null);
  }

  pongRead(payload: Uint8Array): void {
    this.shared.events.alive(this.upgraded, payload);
  }

  closeRead(code: number | null): void {
    this.lastWords = encodeCloseFrame(code, "");
    this.shared.events.leaving(this.upgraded, "closeFrame");
  }

  violated(fault: FrameFault): void {
    this.lastWords = encodeCloseFrame(fault, "");
    this.shared.events.leaving(this.upgraded, "violation");
  }

  frameRead(isControl: boolean): void {
    this.shared.events.frame(this.upgraded, isControl);
  }

  released(): void {
    this.shared.events.held(this.upgraded);
  }

  private readChunk(chunk: Uint8Array): void {
    const at = readFrames(this, chunk);
    if (at < chunk.length && !this.isEnding) this.keep(chunk.subarray(at), false);
  }

  /** A view keeps all of its chunk alive. */
  private keep(chunk: Uint8Array, isLast: boolean): void {
    const bytes = 2 * chunk.length < chunk.buffer.byteLength ? chunk.slice() : chunk;
    const before = this.unread ?? [];
    this.unread = isLast ? [...before, bytes] : [bytes, ...before];
  }

  private get upgraded(): P {
    return this.peer!; // who was turned away is never upgraded
  }

  private forget(): void {
    this.request = null;
    this.assembly?.drop();
    this.assembly = null;
    this.unread = null;
    this.owedPong = null;
  }

  private markDirty(): void {
    if (this.isDirty) return;
    this.isDirty = true;
    this.shared.flushLater(this);
  }
}
