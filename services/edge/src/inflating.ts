/**
 * Bodies that become large are inflated beside the node's only thread, a few at a time and in the
 * order in which they came: a packet of 4 KiB may become 4 MiB, which takes ten milliseconds in
 * which nobody else would be served. [I6]
 */
import { inflateLater } from "@holdfast/protocol";

export interface Inflating {
  /** Rejects with ProtocolError. Null: it was not wanted any more. */
  inflate(body: Uint8Array, bytesMax: number, isWanted: () => boolean): Promise<Uint8Array | null>;
  /** Bodies that are being inflated, or wait for it. */
  readonly size: number;
}

/** What is inflated on the spot takes less than a tenth of a millisecond. */
export const inflatedNowBytesMax = 64 * 1024;
const atOnceMax = 2;

export function createInflating(): Inflating {
  const waiting: (() => void)[] = []; // one of a connection at most
  let busy = 0;

  return {
    async inflate(body, bytesMax, isWanted) {
      if (busy >= atOnceMax) await new Promise<void>((begin) => waiting.push(begin));
      else busy++;
      try {
        return isWanted() ? await inflateLater(body, bytesMax) : null;
      } finally {
        const next = waiting.shift();
        if (next === undefined) busy--;
        else next();
      }
    },
    get size() {
      return busy + waiting.length;
    },
  };
}
