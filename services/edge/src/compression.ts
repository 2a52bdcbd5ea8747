/**
 * Compresses what goes out, for a bounded share of the node's only thread: a client that asks for
 * large bodies must not cost the others their turn. What is over its share leaves as it is, which
 * every client can read. [D08] [I6]
 */
import { bodyBytesMax, compressBody } from "@holdfast/protocol";

/** Null: too short, not smaller, or there is no time for it now. */
export type Compress = (body: Uint8Array) => Uint8Array | null;

/**
 * What has not been used is good for as much later: the share of so long, which is two
 * milliseconds by default. It is used within one turn, and everybody else waits for it.
 */
const windowMs = 10;

export function createCompression(options: {
  readonly gzipMinBytes: number;
  /** Of one core, 0 to 100. */
  readonly cpuPercent: number;
  /** Milliseconds with a fraction, monotonic: compressing takes less than one as a rule. */
  readonly now: () => number;
  readonly skipped: () => void;
}): Compress {
  const { gzipMinBytes, now, skipped } = options;
  const share = options.cpuPercent / 100;
  const creditMsMax = windowMs * share;
  let creditMs = creditMsMax; // below zero after a large body, until the share has paid for it
  let seenMs = now();

  return (body) => {
    if (body.length < gzipMinBytes) return null;
    const startMs = now();
    creditMs = Math.min(creditMsMax, creditMs + (startMs - seenMs) * share);
    seenMs = startMs;
    // What no packet can carry otherwise is worth any time. [§5.5]
    if (creditMs <= 0 && body.length <= bodyBytesMax) {
      skipped();
      return null;
    }
    const compressed = compressBody(body, gzipMinBytes);
    creditMs -= now() - startMs;
    return compressed;
  };
}
