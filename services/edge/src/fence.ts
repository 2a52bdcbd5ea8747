/**
 * What a node does that cannot reach the store: others may give its seats away once their leases
 * have lapsed there. `strict` closes its connections before; `auto` only if other nodes say that
 * they do reach the store, or if it hears of less than half of them; `available` never does.
 * Whoever was cut off alone is not ready. [I1] [I3]
 */
import type { EdgeNode } from "./node.ts";
import { close } from "./peer.ts";

/**
 * linked: the store answers. cut: it does not. alone: others do reach it. isolated: most others do
 * not answer on the bus either. fenced: connections were closed for it.
 */
export const fenceStates = ["linked", "cut", "alone", "isolated", "fenced"] as const;
export type FenceState = (typeof fenceStates)[number];

/** A renewal is tried again after this, so that the end of an outage is seen at once. */
const retryMs = 1000;
/** Unheard of in so many rounds a node is isolated: one may be lost. */
const unheardRounds = 3;

export interface Fence {
  readonly state: FenceState;
  /** Null, or why no client should be sent here. */
  readonly unreadyReason: string | null;
  /** Called by the node's sweep. */
  tick(): void;
  /** The store is away, and by its mode this node serves seats that it cannot verify. */
  servesUnverified(): boolean;
  /** What surely is left of the lease that ends first; 0: it may have lapsed. */
  leaseRemainingMs(): number;
}

/**
 * What others said: nothing was asked yet, none of them reaches the store, one does, most of them
 * nothing.
 */
type View = "unasked" | "together" | "alone" | "unheard";

export function createFence(nodeOf: () => EdgeNode): Fence {
  let view: View = "unasked";
  let unheard = 0; // rounds in a row
  let askedMs = Number.NEGATIVE_INFINITY;
  let isAsking = false;
  let isCut = false;
  let cutMs = 0; // when that began
  let isFenced = false;
  let wasSilent = false;

  return {
    get state() {
      return stateNow();
    },
    get unreadyReason() {
      if (isFenced) return "fenced: redis cannot be reached";
      return view === "alone" && nodeOf().seats.isSilent()
        ? "redis cannot be reached from here alone"
        : null;
    },
    tick,
    servesUnverified() {
      const { fence: mode } = nodeOf().config;
      return mode === "available" || (mode === "auto" && view === "together");
    },
    leaseRemainingMs,
  };

  function stateNow(): FenceState {
    if (!isCut) return "linked";
    if (isFenced) return "fenced";
    if (view === "alone") return "alone";
    return view === "unheard" && unheard >= unheardRounds ? "isolated" : "cut";
  }

  function tick(): void {
    const { seats, clock, config, watchdog } = nodeOf();
    const wasCut = isCut;
    isCut = seats.isCut();
    if (wasCut !== isCut) changed();
    if (!isCut) return;
    const nowMs = clock.monotonic();
    const isBack = wasSilent && !seats.isSilent(); // its heart beats again
    wasSilent = seats.isSilent();
    if (isBack || nowMs - seats.attemptedMs >= retryMs) void seats.renew();
    // By then the others must have noticed, too, if they have lost the store like this node: each
    // has begun a renewal since, and given up its calls; and this node has tried again.
    const isTold = seats.isSilent() || nowMs - cutMs >= 1.2 * config.renewIntervalMs + 1500;
    if (isTold && !isAsking && nowMs - askedMs >= config.renewIntervalMs) void ask(nowMs);
    // Time in which the process stood still says nothing: first the store is asked again.
    if (seats.attemptedMs >= watchdog.wokeMs) closeDue(nowMs);
  }

  function changed(): void {
    const { log, config, clock } = nodeOf();
    cutMs = clock.monotonic();
    if (isCut) log.warn("store_cut", { mode: config.fence });
    else log.info("store_linked", { was: isFenced ? "fenced" : "cut" });
    view = "unasked";
    unheard = 0;
    askedMs = Number.NEGATIVE_INFINITY;
    isFenced = false;
  }

  /** Never rejects: the bus does not. */
  async function ask(nowMs: number): Promise<void> {
    const { bus, config, id, seats } = nodeOf();
    isAsking = true;
    askedMs = nowMs;
    const timeoutMs = Math.min(1000, config.renewIntervalMs / 2);
    const answers = await bus.ask("all", { type: "reach" }, { timeoutMs });
    isAsking = false;
    const others = answers.filter(({ node }) => node !== id);
    // Whoever is not heard may be with another store, as the larger part of a split may.
    const isHeard = 2 * others.length >= seats.others;
    unheard = isHeard ? 0 : unheard + 1;
    // Right after an outage of all, whoever is back first is no proof that others are cut off:
    // meanwhile this node has tried more than once itself.
    const steadyMs = Math.max(2 * config.renewIntervalMs, 3 * retryMs);
    const isReached = others.some(({ reachingMs }) => reachingMs >= steadyMs);
    if (isReached) view = "alone";
    else view = isHeard ? "together" : "unheard";
  }

  function closeDue(nowMs: number): void {
    const node = nodeOf();
    const { config, hub, metrics, log } = node;
    const marginMs = Math.min(1000, config.renewIntervalMs / 4);
    let closed = 0;
    for (const peer of hub.peers.values()) {
      if (peer.phase.at !== "open") continue;
      const termMs = termOf(peer.phase.held.termMs - marginMs);
      if (termMs === null) return;
      if (nowMs - peer.phase.held.verifiedMs < termMs) continue;
      if (close(peer, "serverShutdown")) closed++;
    }
    if (closed === 0) return;
    isFenced = true;
    node.kicks.withdraw();
    metrics.fenced(closed);
    log.error("fenced", { mode: config.fence, view, closed });
  }

  /** How long after its verification a seat is closed; null: it is kept. */
  function termOf(leaseMs: number): number | null {
    const { config } = nodeOf();
    if (config.fence === "available") return null;
    if (config.fence === "strict" || view === "alone") return leaseMs;
    // It may be the others who are cut off, all at once: what is short is given a whole lease.
    return stateIsIsolated() ? config.leaseMs : null;
  }

  function stateIsIsolated(): boolean {
    return view === "unheard" && unheard >= unheardRounds;
  }

  function leaseRemainingMs(): number {
    const { hub, clock, config } = nodeOf();
    const nowMs = clock.monotonic();
    let least = config.leaseMs;
    for (const { phase } of hub.peers.values()) {
      if (phase.at !== "open") continue;
      least = Math.min(least, phase.held.verifiedMs + phase.held.termMs - nowMs);
    }
    return Math.max(0, least);
  }
}
