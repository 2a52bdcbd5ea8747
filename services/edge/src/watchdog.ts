/**
 * Finds that this process stood still: stopped, frozen with its machine, or busy for long. Its
 * seats may have been given away meanwhile, so what its clients send is kept until the registry
 * has confirmed their seats. Compares two times for each chunk of input: a timer alone would be
 * too late, since sockets may be served before it when the process wakes. [I3]
 */
import type { EdgeNode } from "./node.ts";
import type { Peer } from "./peer.ts";

/** A timer that should have run this long ago: nothing has run since. */
export const stallMs = 2000;
const againMs = 200;
/** Until then what comes may have lain in a socket while the process stood still. */
const backlogMs = 1000;

export interface Watchdog {
  /** When the process last woke from standing still, monotonic milliseconds; 0: never. */
  readonly wokeMs: number;
  /** Since when what is read now may have been there, monotonic milliseconds. */
  sentSinceMs(nowMs: number): number;
  /** Called by the node's sweep, several times a second. */
  tick(nowMs: number): void;
  /** True: what this open peer sends has to wait; the caller keeps it, in order. */
  mustWait(peer: Peer, nowMs: number): boolean;
  /** The peer's input is kept from now on; `release` is called when it may be looked at. */
  keeps(peer: Peer): void;
}

export function createWatchdog(
  nodeOf: () => EdgeNode,
  startMs: number,
  release: (peer: Peer) => void,
): Watchdog {
  const kept = new Set<Peer>();
  let lastMs = startMs;
  let wokeMs = 0;
  let stalled: { readonly fromMs: number; readonly toMs: number } | null = null;
  let isVerifying = false;

  return {
    get wokeMs() {
      return wokeMs;
    },
    sentSinceMs(nowMs) {
      return stalled !== null && nowMs < stalled.toMs + backlogMs ? stalled.fromMs : nowMs;
    },
    tick(nowMs) {
      look(nowMs);
      lastMs = nowMs;
    },
    mustWait(peer, nowMs) {
      look(nowMs);
      if (peer.phase.at !== "open") return false;
      return peer.isKept || peer.phase.held.verifiedMs < wokeMs;
    },
    keeps(peer) {
      peer.isKept = true;
      kept.add(peer);
      if (!isVerifying) void verify();
    },
  };

  function look(nowMs: number): void {
    if (nowMs - lastMs <= stallMs) return;
    const { log, metrics } = nodeOf();
    log.warn("process_stood_still", { seconds: Math.round((nowMs - lastMs) / 100) / 10 });
    metrics.stoodStill();
    stalled = { fromMs: lastMs, toMs: nowMs };
    lastMs = nowMs;
    wokeMs = nowMs;
    if (!isVerifying) void verify();
  }

  /** Never rejects: what it calls does not. */
  async function verify(): Promise<void> {
    const { seats, fence, clock, metrics } = nodeOf();
    const startedMs = clock.monotonic();
    isVerifying = true;
    for (;;) {
      // One that began before may have asked before: only what began since counts.
      while (seats.attemptedMs < wokeMs) await seats.renew();
      if (seats.isCut() && fence.servesUnverified()) {
        wokeMs = 0; // the mode says so; renewal will find what was lost
      }
      for (const peer of kept) {
        const { phase } = peer;
        if (phase.at === "open" && phase.held.verifiedMs < wokeMs) continue;
        kept.delete(peer);
        peer.isKept = false;
        release(peer);
      }
      if (kept.size === 0) break;
      await clock.sleep(againMs);
      await seats.renew();
    }
    isVerifying = false;
    metrics.verified(clock.monotonic() - startedMs);
  }
}
