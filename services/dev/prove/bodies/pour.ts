/** Bodies of any size, in chunks of any size, as fast as they are taken. */
import type { Wire } from "@holdfast/client/wire";
import { encodeRequest, type Response } from "@holdfast/protocol";

/** The most that the three bytes of a length can say. */
export const bodyBytesMost = 0xffffff;

/** A command that goes to NATS, which carries no body like these. */
export const nobodys = 250;

export interface Chunks {
  readonly name: string;
  readonly bytes: number;
  /** So many bytes at the beginning come a few at a time. */
  readonly tinyBytes?: number;
}

const aheadBytes = 1024 * 1024; // more is in the kernel already
const tinyMost = 7;

/** What no compressor makes smaller. */
export function noise(bytes: number): Uint8Array {
  const body = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += 65_536) crypto.getRandomValues(body.subarray(at, at + 65_536));
  return body;
}

export function largeRequest(command: number, body: Uint8Array): Uint8Array {
  return encodeRequest(1, command, requestId, 0, body);
}
const requestId = 7;

/**
 * TCP: a write for each chunk, and a turn of the loop, or the kernel would put them together again.
 * WebSocket: a fragment for each. Resolves when all has been sent, or the connection has ended.
 */
export async function pour(wire: Wire, isTcp: boolean, packet: Uint8Array, chunks: Chunks) {
  let isOver = false;
  void wire.closed.then(() => {
    isOver = true;
  });
  const { bytes, tinyBytes = 0 } = chunks;
  for (let at = 0; at < packet.length && !isOver; ) {
    const size = at < tinyBytes ? 1 + (at % tinyMost) : bytes;
    const end = Math.min(packet.length, at + size);
    const payload = packet.subarray(at, end);
    if (isTcp) wire.sendBytes(payload);
    else wire.sendFrame({ opcode: at === 0 ? 2 : 0, payload, isFinal: end === packet.length });
    at = end;
    if (isTcp && bytes < aheadBytes / 64) await new Promise(setImmediate);
    while (wire.bufferedBytes > aheadBytes && !isOver) await Bun.sleep(1);
  }
}

/** The answer to what was poured; null: the connection ended without one. */
export async function answerOf(wire: Wire, deadlineMs: number): Promise<Response | null> {
  for (;;) {
    const packet = await wire.next(deadlineMs).catch(() => null);
    if (packet === null) return null;
    if (packet.type === "response" && packet.requestId === requestId) return packet;
  }
}
