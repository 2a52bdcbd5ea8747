/** Requests by their ids, and the answers counted: each must have one, and its own. */
import type { Wire } from "@holdfast/client/wire";
import { encodeRequest, encodeResponse } from "@holdfast/protocol";

/** What the answers were. */
export interface Tally {
  readonly statuses: Map<number, number>;
  answered: number;
  /** Responses to what was not asked, or had been answered. */
  surplus: number;
  /** Of another request, by what they carry. */
  crossed: number;
}

export const noAnswers = (): Tally => ({
  statuses: new Map(),
  answered: 0,
  surplus: 0,
  crossed: 0,
});

const inFlight = 64; // of one client
const answerMs = 10_000;

/**
 * Sends so many, and takes the answers. The ids begin again at 0 half way, beyond 2^32 - 1. Rejects
 * when an answer does not come.
 */
export async function askAll(
  wire: Wire,
  asked: {
    readonly name: string;
    readonly command: number;
    readonly count: number;
    readonly timeoutMs: number;
  },
  tally: Tally,
): Promise<void> {
  const { name, command, count, timeoutMs } = asked;
  const waiting = new Set<number>();
  for (let sent = 0, got = 0; got < count; ) {
    while (sent < count && waiting.size < inFlight) {
      const id = (sent++ - Math.floor(count / 2)) >>> 0;
      waiting.add(id);
      wire.sendBytes(encodeRequest(1, command, id, timeoutMs, bodyOf(name, id)));
    }
    const packet = await wire.next(answerMs);
    if (packet.type === "request") {
      wire.sendBytes(encodeResponse(1, packet.command, packet.requestId, 0, packet.body));
      continue; // a heartbeat
    }
    if (packet.type !== "response") throw new Error(`Cannot go on: got a ${packet.type}`);
    const { status, requestId, body } = packet;
    if (!waiting.delete(requestId)) {
      tally.surplus++;
      continue;
    }
    if (status === 0 && !bodyOf(name, requestId).equals(body)) tally.crossed++;
    tally.statuses.set(status, (tally.statuses.get(status) ?? 0) + 1);
    tally.answered++;
    got++;
  }
}

/** Nothing comes any more, for so long; what does is counted. */
export async function listenOn(wire: Wire, ms: number, tally: Tally): Promise<void> {
  const untilMs = performance.now() + ms;
  for (;;) {
    const packet = await wire.next(Math.max(1, untilMs - performance.now())).catch(() => null);
    if (packet === null) return;
    if (packet.type === "response") tally.surplus++;
  }
}

function bodyOf(name: string, id: number): Buffer {
  return Buffer.from(`${name}:${id}`);
}
