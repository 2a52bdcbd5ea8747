/**
 * One direction of a bad network, as a sum: when does a packet that comes now arrive, and how
 * often? Knows no packets and no time; whoever moves them asks for each.
 */
export interface Conditions {
  /** One way. */
  readonly delayMs: number;
  /** At most so much more or less, drawn for each packet. */
  readonly jitterMs: number;
  /** Parts of all packets. */
  readonly loss: number;
  readonly duplicate: number;
  /** They do not wait for the packets of their flow that were sent before. */
  readonly reorder: number;
  readonly bytesPerSecond: number;
  /** What waits for the wire; a packet that finds more is lost, too. */
  readonly queueBytesMax: number;
}

export interface Path {
  /** When it arrives, in milliseconds from now: not at all, once, or twice. */
  carry(packet: { readonly bytes: number; readonly flow: number }, nowMs: number): number[];
}

/** 200 ms there and back, 50 more or less; of a hundred packets five are lost on each way. */
export const bad: Conditions = {
  ...{ delayMs: 100, jitterMs: 25, loss: 0.05, duplicate: 0.01, reorder: 0.02 },
  ...{ bytesPerSecond: 256_000, queueBytesMax: 64 * 1024 },
};

const flowsMax = 10_000;

export function createPath(conditions: Conditions, draw: () => number): Path {
  const { delayMs, jitterMs, loss, duplicate, reorder } = conditions;
  const bytesPerMs = conditions.bytesPerSecond / 1000;
  const lastMs = new Map<number, number>(); // by flow: when its latest packet arrives
  let freeMs = 0; // when the wire has sent what waits for it

  return {
    carry(packet, nowMs) {
      if (draw() < loss) return [];
      const copies = draw() < duplicate ? 2 : 1;
      return Array.from({ length: copies }, () => once(packet, nowMs)).filter((ms) => ms !== null);
    },
  };

  function once({ bytes, flow }: Parameters<Path["carry"]>[0], nowMs: number): number | null {
    const startMs = Math.max(nowMs, freeMs);
    if ((startMs - nowMs) * bytesPerMs > conditions.queueBytesMax) return null;
    freeMs = startMs + bytes / bytesPerMs;
    const earliestMs = freeMs + delayMs - jitterMs;
    if (draw() < reorder) return earliestMs - nowMs;
    const dueMs = Math.max(earliestMs + 2 * jitterMs * draw(), lastMs.get(flow) ?? 0);
    if (lastMs.size > flowsMax) lastMs.clear();
    lastMs.set(flow, dueMs);
    return dueMs - nowMs;
  }
}
