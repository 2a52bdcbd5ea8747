/**
 * What a wire has received: packets sorted to those who wait for them, and the way it ended.
 * Both kinds of wire put in what their socket gives; the waiting is the same for both.
 */
import {
  Command,
  decodeClose,
  type Packet,
  ProtocolError,
  type Response,
} from "@holdfast/protocol";
import { deadlineDefaultMs, within } from "./deadline.ts";
import { createDeferred } from "./deferred.ts";
import { createMailbox, type Mailbox } from "./mailbox.ts";
import type { WireClosed, WireOptions } from "./wire.ts";

/** For both directions of a decoder that shall never be the one who refuses. [§5.5] */
export const wireLimits = {
  bodyBytesMax: 16_777_215,
  inflatedBytesMax: 64 * 1024 * 1024,
  heartbeatBytesMax: 16_777_215,
} as const;

const packetsMax = 100_000;
const describedMax = 6;

export interface WireInbox {
  /** Runs `decode`, which may call `packet` often, and takes its ProtocolError as the end. */
  read(bytes: number, decode: () => void): void;
  packet(packet: Packet): void;
  closeFrame(code: number | null, reason: string): void;
  ended(how: WireClosed["how"]): void;
  mailbox<T>(): Mailbox<T>;
  note(arrival: string): void;
  next(deadlineMs?: number): Promise<Packet>;
  waitResponse(requestId: number, deadlineMs?: number): Promise<Response>;
  waitClosed(deadlineMs?: number): Promise<WireClosed>;
  readonly closed: Promise<WireClosed>;
  readonly receivedBytes: number;
  readonly timeoutMs: number;
}

export function createWireInbox(options: WireOptions): WireInbox {
  const timeoutMs = options.timeoutMs ?? deadlineDefaultMs;
  const arrivals: string[] = []; // the last few, for messages
  let failure: string | null = null; // why nothing more will come
  const mailboxes: Pick<Mailbox<unknown>, "fail">[] = [];
  const packets = mailbox<Packet>();
  const claims = new Map<number, Mailbox<Response>>(); // by request id
  const closed = createDeferred<WireClosed>();
  let closePush: WireClosed["closePush"] = null;
  let frame: { code: number | null; reason: string } | null = null;
  let receivedBytes = 0;
  let bytesAfterClose = 0;

  return {
    read,
    packet,
    closeFrame,
    ended,
    mailbox,
    note,
    next: (deadlineMs = timeoutMs) => packets.take("a packet", deadlineMs),
    waitResponse,
    waitClosed: (deadlineMs = timeoutMs) =>
      within(closed.promise, deadlineMs, () => `the end of the connection; ${describeArrivals()}`),
    closed: closed.promise,
    get receivedBytes() {
      return receivedBytes;
    },
    timeoutMs,
  };

  function read(bytes: number, decode: () => void): void {
    receivedBytes += bytes;
    if (closePush !== null || frame !== null) bytesAfterClose += bytes;
    try {
      decode();
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      failAll(`bytes arrived that are no packet (${error.message})`);
    }
  }

  function packet(received: Packet): void {
    const { type, command } = received;
    const id = received.type === "push" ? "" : ` id ${received.requestId}`;
    note(`${type} of command ${command}${id}`);
    if (received.type === "push" && command === Command.close) {
      const { code, reason } = decodeClose(received.body);
      closePush ??= { code, reason };
    }
    const claim = received.type === "response" ? claims.get(received.requestId) : undefined;
    if (received.type === "response" && claim !== undefined) claim.put(received);
    else packets.put(received);
  }

  async function waitResponse(requestId: number, deadlineMs = timeoutMs): Promise<Response> {
    const claim = mailbox<Response>();
    claims.set(requestId, claim);
    try {
      return await claim.take(`the response with id ${requestId}`, deadlineMs);
    } finally {
      claims.delete(requestId);
      mailboxes.splice(mailboxes.indexOf(claim), 1);
    }
  }

  function closeFrame(code: number | null, reason: string): void {
    note(`close frame ${code ?? "without code"} "${reason}"`);
    frame ??= { code, reason };
  }

  function ended(how: WireClosed["how"]): void {
    note(`end of the connection by ${how}`);
    failAll(`the connection ended by ${how}`);
    const wsCode = frame?.code ?? null;
    const wsReason = frame?.reason ?? "";
    closed.resolve({ closePush, wsCode, wsReason, bytesAfterClose, how });
  }

  function mailbox<T>(): Mailbox<T> {
    const created = createMailbox<T>({ sizeMax: packetsMax, describeArrivals });
    mailboxes.push(created);
    if (failure !== null) created.fail(failure);
    return created;
  }

  function failAll(reason: string): void {
    failure ??= reason;
    for (const each of mailboxes) each.fail(reason);
  }

  function note(arrival: string): void {
    arrivals.push(arrival);
    if (arrivals.length > describedMax) arrivals.shift();
  }

  function describeArrivals(): string {
    if (arrivals.length === 0) return "nothing arrived";
    return `the last to arrive: ${arrivals.join(", ")}`;
  }
}
