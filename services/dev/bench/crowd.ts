/**
 * The load: many raw sockets that speak TCP or WebSocket and do little more than count bytes, so
 * that the generator is not what is measured. WebSocket is spoken by hand, with a mask of zeros.
 */
import {
  Command,
  encodeAuthRequest,
  encodeQueryHandshake,
  encodeRequest,
  encodeTcpHandshake,
  Status,
} from "@holdfast/protocol";
import type { Socket } from "bun";

export type TransportName = "tcp" | "ws";

/** One socket of the crowd, and what its next bytes mean. */
interface Member {
  at: "upgrading" | "entering" | "ready";
  token: string | null; // null: the bare server, where nobody logs in
  transport: TransportName;
  bytesLeft: number; // of the batch that is being answered
  answered: (() => void) | null; // whoever waits for it, outside a pump
}
export type Crowd = readonly Socket<Member>[];

/** What each member sends, and how many bytes answer it. */
export interface Exchange {
  readonly bytes: Uint8Array;
  readonly answerBytes: number;
}

const version = 2;
const greeting = { version, codec: 1, platform: 1 } as const;
const nothing: Exchange = { bytes: new Uint8Array(0), answerBytes: 0 };

let exchange = nothing;
let batches = 0;
let isPumping = false;
let entered: () => void = () => {};
let bytesToCome = 0;
let counted: () => void = () => {};

/** Connects all at once; resolves when all are in, within the deadline. */
export async function gather(options: {
  readonly transport: TransportName;
  readonly port: number;
  readonly count: number;
  /** Of as many accounts; null: the bare server. */
  readonly tokens: readonly string[] | null;
}): Promise<Crowd> {
  const { transport, port, count, tokens } = options;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let missing = count;
  entered = () => {
    if (--missing === 0) resolve();
  };
  const timer = setTimeout(() => reject(new Error(`Cannot gather: ${missing} missing`)), 60_000);
  const sockets = Array.from({ length: count }, (_, index) => {
    const token = tokens === null ? null : (tokens[index] ?? "");
    const data: Member = { at: "upgrading", token, transport, bytesLeft: 0, answered: null };
    return Bun.connect({ hostname: "127.0.0.1", port, data, socket: { open, data: read } });
  });
  const crowd = await Promise.all(sockets);
  await promise;
  clearTimeout(timer);
  return crowd;
}

/** With a reset, which leaves no port in TIME_WAIT behind. */
export function disperse(crowd: Crowd): void {
  for (const socket of crowd) socket.terminate();
}

/** Has all send the batch, and again whenever it is answered; resolves with batches a second. */
export async function pump(
  crowd: Crowd,
  batch: Exchange,
  durations: { readonly warmUpMs: number; readonly measuredMs: number },
  measured: { start(): void; end(): void },
): Promise<number> {
  exchange = batch;
  isPumping = true;
  for (const socket of crowd) sendBatch(socket);
  await Bun.sleep(durations.warmUpMs);
  measured.start();
  const startedMs = performance.now();
  batches = 0;
  await Bun.sleep(durations.measuredMs);
  const rate = (batches * 1000) / (performance.now() - startedMs);
  measured.end();
  isPumping = false;
  await Bun.sleep(100); // the last answers
  return rate;
}

/** One exchange on one socket, which nobody else may use meanwhile. */
export function request(socket: Crowd[number], one: Exchange): Promise<void> {
  const { data: member } = socket;
  member.bytesLeft = one.answerBytes;
  return new Promise((resolve) => {
    member.answered = () => {
      member.answered = null;
      resolve();
    };
    socket.write(one.bytes);
  });
}

/** A request and the length of its answer, whose header is a byte shorter. */
export function exchangeOf(transport: TransportName, command: number, body: Uint8Array): Exchange {
  const packet = encodeRequest(version, command, 7, 0, body);
  const answerBytes = packet.length - 1;
  if (transport === "tcp") return { bytes: packet, answerBytes };
  return { bytes: frame(packet), answerBytes: answerBytes + 2 };
}

/** Resolves when all together have read as many bytes, which nobody asked for. */
export function countBytes(bytes: number): Promise<void> {
  bytesToCome = bytes;
  return new Promise((resolve) => {
    counted = resolve;
  });
}

/** As many of the packet in one write as are to be outstanding. */
export function times(count: number, one: Exchange): Exchange {
  const bytes = Buffer.concat(Array.from({ length: count }, () => one.bytes));
  return { bytes, answerBytes: count * one.answerBytes };
}

/** A message of at most 125 bytes. */
export function frame(payload: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(0x82, 0x80 | payload.length, 0, 0, 0, 0), payload]);
}

function open(socket: Socket<Member>): void {
  socket.setNoDelay(true);
  const { data: member } = socket;
  if (member.transport === "ws") {
    socket.write(
      `GET /?${encodeQueryHandshake(greeting)} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\n` +
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    return;
  }
  member.at = "entering";
  const login = member.token === null ? Uint8Array.of(1) : authRequest(member.token);
  socket.write(Buffer.concat([encodeTcpHandshake(greeting), login]));
}

function authRequest(token: string): Uint8Array {
  const body = encodeAuthRequest({ token, metadata: {} });
  return encodeRequest(version, Command.auth, 1, 0, body);
}

function read(socket: Socket<Member>, chunk: Uint8Array): void {
  const { data: member } = socket;
  if (member.at === "ready") answered(socket, member, chunk.length);
  else if (member.at === "entering") loginAnswered(member, chunk);
  else upgraded(socket, member, chunk);
}

function answered(socket: Socket<Member>, member: Member, bytes: number): void {
  member.bytesLeft -= bytes;
  if (bytesToCome > 0) {
    bytesToCome -= bytes;
    if (bytesToCome <= 0) counted();
  }
  if (member.bytesLeft > 0) return;
  member.answered?.();
  if (!isPumping) return;
  batches++;
  sendBatch(socket);
}

function sendBatch(socket: Socket<Member>): void {
  socket.data.bytesLeft = exchange.answerBytes;
  socket.write(exchange.bytes);
}

function loginAnswered(member: Member, chunk: Uint8Array): void {
  const header = member.transport === "tcp" ? 0 : chunk[1]! < 126 ? 2 : 4;
  if (member.token !== null && chunk[header + 6] !== Status.success) {
    throw new Error(`Cannot log in: ${Buffer.from(chunk).toString("hex")}`);
  }
  member.at = "ready";
  entered();
}

function upgraded(socket: Socket<Member>, member: Member, chunk: Uint8Array): void {
  if (!Buffer.from(chunk).toString("latin1").startsWith("HTTP/1.1 101")) {
    throw new Error(`Cannot upgrade: ${Buffer.from(chunk).toString("latin1")}`);
  }
  member.at = "entering";
  if (member.token === null) loginAnswered(member, chunk);
  else socket.write(frame(authRequest(member.token)));
}
