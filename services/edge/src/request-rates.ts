/**
 * How many requests of command 4 to 255 a connection and an account may send: token buckets of two
 * numbers each, filled when they are looked at, so that nobody has a timer. An account's bucket is
 * this node's own, and goes with its last connection here.
 */
import type { EdgeConfig } from "./config.ts";
import type { Peer } from "./peer.ts";

export interface Bucket {
  tokens: number;
  /** When that many were in it, monotonic milliseconds. */
  filledMs: number;
}

export interface AccountBucket extends Bucket {
  readonly account: string;
  connections: number; // those that have asked for something
}

export interface RequestRates {
  /** Takes a token of each, or says which has none. */
  refusalOf(peer: Peer, account: string, nowMs: number): "connection_rate" | "account_rate" | null;
  /** The peer has closed. */
  released(peer: Peer): void;
  readonly accounts: number;
}

type RateSettings = Pick<
  EdgeConfig,
  "requestRate" | "requestBurst" | "accountRequestRate" | "accountRequestBurst"
>;

export function createRequestRates(settings: RateSettings): RequestRates {
  const { requestRate, requestBurst, accountRequestRate, accountRequestBurst } = settings;
  /** At most as many as there are connections. */
  const accounts = new Map<string, AccountBucket>();

  return {
    refusalOf(peer, account, nowMs) {
      if (!take(peer, requestRate, requestBurst, nowMs)) return "connection_rate";
      if (accountRequestRate === 0) return null;
      peer.account ??= join(account, nowMs);
      if (take(peer.account, accountRequestRate, accountRequestBurst, nowMs)) return null;
      return "account_rate";
    },
    released(peer) {
      const bucket = peer.account;
      if (bucket === null) return;
      peer.account = null;
      if (--bucket.connections === 0) accounts.delete(bucket.account);
    },
    get accounts() {
      return accounts.size;
    },
  };

  function join(account: string, nowMs: number): AccountBucket {
    let bucket = accounts.get(account);
    if (!bucket) {
      bucket = { account, connections: 0, tokens: accountRequestBurst, filledMs: nowMs };
      accounts.set(account, bucket);
    }
    bucket.connections++;
    return bucket;
  }
}

/** A rate of 0 is none. A bucket that was never looked at is full. */
export function take(bucket: Bucket, rate: number, burst: number, nowMs: number): boolean {
  if (rate === 0) return true;
  const filled = bucket.tokens + ((nowMs - bucket.filledMs) * rate) / 1000;
  bucket.tokens = Math.min(burst, filled);
  bucket.filledMs = nowMs;
  if (bucket.tokens < 1) return false;
  bucket.tokens--;
  return true;
}
