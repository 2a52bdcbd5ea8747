/**
 * Lets logins in at a bounded rate, and no more of them into the store at once than it is to have:
 * first come, first served. What cannot be let in yet waits, up to a deadline; whoever leaves
 * meanwhile costs nothing. Public clients come back in step, after 0, 1 or 2 s: pacing is ours.
 * Without a queue a login costs a few comparisons: no promise, no timer.
 */
import type { EdgeConfig } from "./config.ts";
import type { EdgeMetrics, LoginKind } from "./metrics.ts";
import type { Peer } from "./peer.ts";
import { createQueue } from "./queue.ts";
import { type Bucket, take } from "./request-rates.ts";

/** left: the peer is gone. late: it would wait, or has waited, too long, or the store is away. */
export type Verdict = "in" | "late" | "left";

export interface Admission {
  /** Null: go on at once. A peer that is let in MUST be given back with `done`. */
  enter(peer: Peer, kind: LoginKind): Promise<Verdict> | null;
  /** A call to the store came back. `isAnswered`: not with a failure of the store. */
  done(isAnswered: boolean): void;
  /** One that was let in asks the store once more. False: not now. True: to be given back, too. */
  again(): boolean;
  /** The peer has closed, or its login was refused before it could enter. */
  left(peer: Peer): void;
  /** Lets in whoever's turn has come, and answers whoever has waited too long. */
  tick(nowMs: number): void;
  /**
   * Whether a login that follows an upgrade now could be let in in time. True keeps a place for
   * it: between the upgrade and its login others must not fill the queue, since a login that is
   * refused costs some clients their session, and a refused upgrade does not. [§13.2]
   */
  isOpen(nowMs: number): boolean;
  /** The place that `isOpen` has just kept is this peer's. */
  placed(peer: Peer): void;
  /**
   * When whoever is turned away had better come back: the queue is full now, and empty by then.
   * While the store is away it is that for which they wait.
   */
  readonly retryAfterMs: number;
  readonly waiting: number;
  readonly inFlight: number;
  /** The most at once since the start. */
  readonly inFlightPeak: number;
}

export type AdmissionSettings = Pick<
  EdgeConfig,
  | "loginRate"
  | "loginBurst"
  | "loginQueueMs"
  | "reconnectHoldMs"
  | "redisInFlightMax"
  | "retryAfterSeconds"
>;

interface Ticket {
  readonly peer: Peer;
  readonly kind: LoginKind;
  readonly sinceMs: number;
  readonly decide: (verdict: Verdict) => void;
}

/** A tick so late is a loop that stood still, be it for want of a processor. */
const stallMs = 250;

/** Two ticks of the node. */
const ticksSeconds = 0.05;

/** So many failures without an answer between them mean that the store is away. */
const failuresMax = 16;

export function createAdmission(options: {
  readonly settings: AdmissionSettings;
  readonly metrics: Pick<EdgeMetrics, "loginAdmitted">;
  readonly now: () => number; // monotonic milliseconds
  readonly isStoreUp: () => boolean;
}): Admission {
  const { settings, metrics, now, isStoreUp } = options;
  const { loginRate, redisInFlightMax } = settings;
  // A bucket that held less than a tick lets in would slow down whoever waits.
  const loginBurst = Math.max(settings.loginBurst, Math.ceil(loginRate * ticksSeconds));
  // How long the queue may be, by the rate; and how long anybody waits, should that be too hopeful:
  // a login that is refused costs its client a new token, or its session.
  const { reconnectHoldMs } = settings;
  const loginQueueMs = Math.min(settings.loginQueueMs, reconnectHoldMs);
  const eachMs = loginRate === 0 ? 0 : 1000 / loginRate;
  const bucket: Bucket = { tokens: loginBurst, filledMs: now() };
  const waiting = new Map<Peer, Ticket>();
  /** In the order of their arrival, with some that wait no more. */
  const queue = createQueue<Ticket>();
  const none = Promise.resolve<Verdict>("late");
  let inFlight = 0;
  let inFlightPeak = 0;
  let failures = 0;
  let tickedMs = now();
  /** When the last would be let in of all that have a place: logins, and upgrades before them. */
  let expectedMs = 0;

  return {
    enter,
    done(isAnswered) {
      inFlight--;
      failures = isAnswered ? 0 : failures + 1;
      if (waiting.size > 0) release(now());
    },
    again() {
      if (inFlight >= redisInFlightMax) return false;
      start();
      return true;
    },
    left(peer) {
      const ticket = waiting.get(peer);
      if (ticket) decide(ticket, "left", now());
      // Once its turn would have been, others have counted on it.
      if (peer.placeMs > 0 && peer.placeMs > now()) expectedMs -= eachMs;
      peer.placeMs = 0;
    },
    placed(peer) {
      peer.placeMs = expectedMs;
    },
    tick,
    isOpen: (nowMs) => !isLong(nowMs) && hasPlace(nowMs),
    get retryAfterMs() {
      return isAway() ? settings.retryAfterSeconds * 1000 : loginQueueMs;
    },
    get waiting() {
      return waiting.size;
    },
    get inFlight() {
      return inFlight;
    },
    get inFlightPeak() {
      return inFlightPeak;
    },
  };

  function enter(peer: Peer, kind: LoginKind): Promise<Verdict> | null {
    const nowMs = now();
    const isPlaced = peer.placeMs > 0;
    const isExpected = isPlaced || hasPlace(nowMs);
    peer.placeMs = 0;
    if (waiting.size === 0 && inFlight < redisInFlightMax) {
      if (take(bucket, loginRate, loginBurst, nowMs)) {
        start();
        metrics.loginAdmitted("at_once", null);
        return null;
      }
    }
    // By a hair the queue may be longer than thought when a place was kept: that one waits.
    const isFull = !isExpected || (!isPlaced && waiting.size * eachMs > loginQueueMs);
    if (isFull || (kind === "auth" && isAway())) {
      metrics.loginAdmitted("refused", null);
      return none;
    }
    const { promise, resolve } = Promise.withResolvers<Verdict>();
    const ticket = { peer, kind, sinceMs: nowMs, decide: resolve };
    waiting.set(peer, ticket);
    queue.push(ticket);
    return promise;
  }

  /** Takes it, if there is one: as many as are let in within the deadline. */
  function hasPlace(nowMs: number): boolean {
    const nextMs = Math.max(nowMs, expectedMs) + eachMs;
    if (nextMs - nowMs > loginQueueMs + loginBurst * eachMs) return false;
    expectedMs = nextMs;
    return true;
  }

  /** Whoever came now might wait too long. */
  function isLong(nowMs: number): boolean {
    const next = first();
    if (next === undefined) return false;
    // By its length; and by what the first has waited, when the store is slower than the rate.
    const isSlow = nowMs - next.sinceMs > loginQueueMs * 0.75;
    return isSlow || waiting.size * eachMs > loginQueueMs;
  }

  function start(): void {
    inFlight++;
    if (inFlight > inFlightPeak) inFlightPeak = inFlight;
  }

  function tick(nowMs: number): void {
    // Calls that were given up while nothing ran here say nothing of the store.
    if (nowMs - tickedMs > stallMs) failures = 0;
    tickedMs = nowMs;
    if (waiting.size === 0) return;
    if (isAway()) refuseAuths(nowMs);
    release(nowMs); // first: after a moment in which nothing ran, there is room for many
    // All wait equally long at most, so the first is the next to be late.
    for (let next = first(); next !== undefined; next = first()) {
      if (nowMs - next.sinceMs < reconnectHoldMs) break;
      decide(next, "late", nowMs);
    }
  }

  /** Of those that wait. */
  function first(): Ticket | undefined {
    for (;;) {
      const ticket = queue.first();
      if (ticket === undefined || waiting.get(ticket.peer) === ticket) return ticket;
      queue.shift();
    }
  }

  /** While the store is away an Auth is told at once; a Reconnect goes on hoping. [§13.2] */
  function refuseAuths(nowMs: number): void {
    for (const ticket of waiting.values()) {
      if (ticket.kind === "auth") decide(ticket, "late", nowMs);
    }
  }

  function isAway(): boolean {
    return failures >= failuresMax || !isStoreUp();
  }

  function release(nowMs: number): void {
    for (let next = first(); next !== undefined; next = first()) {
      if (inFlight >= redisInFlightMax || !take(bucket, loginRate, loginBurst, nowMs)) return;
      start();
      decide(next, "in", nowMs);
    }
  }

  function decide(ticket: Ticket, verdict: Verdict, nowMs: number): void {
    waiting.delete(ticket.peer);
    if (waiting.size === 0) first(); // so that nobody who has left is kept
    const outcome = verdict === "in" ? "queued" : verdict === "late" ? "refused" : "left";
    metrics.loginAdmitted(outcome, nowMs - ticket.sinceMs);
    ticket.decide(verdict);
  }
}

/** Half of it more or less: those who are turned away together shall not come back together. */
export function spread(ms: number): number {
  return Math.round((0.5 + Math.random()) * ms);
}
