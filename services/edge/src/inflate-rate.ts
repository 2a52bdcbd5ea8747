/**
 * How much a connection may have inflated: 4 KiB on the wire may be 4 MiB of memory and more than a
 * millisecond of the node's only thread, which no count of requests bounds. [D09] [I6]
 */
import type { Bucket } from "./request-rates.ts";

export interface InflateSettings {
  readonly inflateRate: number; // bytes a second; 0: no limit
  readonly inflateBurst: number; // bytes after a rest
}

/**
 * Of bytes, for `peer.inflated`; made with the first compressed packet. False: more than the rate
 * and the burst let in. The bytes are there already, so it may be overdrawn by one packet.
 */
export function takeInflated(
  peer: { inflated: Bucket | null },
  bytes: number,
  { inflateRate, inflateBurst }: InflateSettings,
  nowMs: number,
): boolean {
  if (inflateRate === 0) return true;
  peer.inflated ??= { tokens: inflateBurst, filledMs: nowMs };
  const bucket = peer.inflated;
  const filled = bucket.tokens + ((nowMs - bucket.filledMs) * inflateRate) / 1000;
  bucket.tokens = Math.min(inflateBurst, filled) - bytes;
  bucket.filledMs = nowMs;
  return bucket.tokens >= 0;
}
