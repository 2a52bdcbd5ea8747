/**
 * How much a connection may send: bytes and packets a second, token buckets of plain numbers in the
 * peer. What is over them is not read: the socket is paused until its bucket has refilled, so that
 * it costs nothing meanwhile and TCP pushes back. Within them a turn of the event loop handles so
 * many packets of one socket; the rest has its turn when others had theirs. And a turn hears so
 * many strangers: a thousand that say hello at once take 25 ms. One clock for all. [I6]
 */
import type { EdgeConfig } from "./config.ts";
import { createDeadlines } from "./deadlines.ts";
import type { EdgeMetrics } from "./metrics.ts";
import type { Peer } from "./peer.ts";
import { createQueue } from "./queue.ts";

export interface Inflow {
  /** Bytes have come, or what was kept is looked at: called before any packet of it. */
  begin(peer: Peer, bytes: number): void;
  /** A packet has been read. It may be the last for now: see `peer.isWaiting`. */
  packet(peer: Peer): void;
  /** A part of a packet: its bytes count, and it takes its time of the turn. */
  fragment(peer: Peer): void;
  /** All has been read of so many bytes that may be. */
  end(peer: Peer, bytes: number): void;
  /** Its login has been accepted: from here it may send more than a stranger. */
  entered(peer: Peer): void;
  /** Calls back those whose time has come. */
  tick(nowMs: number): void;
  /** Those whose buckets are empty. */
  readonly paused: number;
  /** Strangers who said something, and have not had their turn. */
  readonly strangersWaiting: number;
}

export type InflowSettings = Pick<
  EdgeConfig,
  "inboundBytesPerSecond" | "inboundBytesBurst" | "inboundPacketsPerSecond" | "inboundPacketsBurst"
>;

/** Of one connection in one turn. Few clients ever send as many at once. */
export const packetsPerTurn = 64;
/** Of all that wait for a turn: what they cost the others together. */
const packetsOfWaitingPerTurn = 512;
/** And as many sockets, since each may bring a chunk; one with large chunks stands for several. */
const socketsPerTurn = 16;
const socketsOfLarge = 8;
/** Whoever brings as much at once is read again when others had their turn. */
export const largeChunkBytes = 64 * 1024;
/** Who have not logged in: what one says costs some 25 us, a login or an upgrade twice as much. */
export const strangersPerTurn = 32;
/** Whoever has not logged in needs a few packets, and has this part of rates and bursts. */
const strangerShare = 1 / 8;

/**
 * It has sent as many packets as it may. What is still to be read of it may be minutes old, and is
 * no sign of life: only an answer to what it was asked just now is one.
 */
export function isBehind({ packetTokens }: Peer): boolean {
  return packetTokens < packetsPerTurn;
}

export function createInflow(options: {
  readonly settings: InflowSettings;
  readonly metrics: Pick<EdgeMetrics, "inboundPaused">;
  readonly now: () => number; // monotonic milliseconds
  /** Calls back in a later turn, after the sockets of others. */
  readonly nextTurn: (act: () => void) => void;
  /** Reads on, from `begin` to `end`. MUST NOT throw. */
  readonly readOn: (peer: Peer) => void;
}): Inflow {
  const { metrics, now, nextTurn, readOn } = options;
  const { inboundBytesPerSecond: bytesRate, inboundPacketsPerSecond: packetsRate } =
    options.settings;
  const bytesBurst =
    bytesRate === 0 ? Number.POSITIVE_INFINITY : options.settings.inboundBytesBurst;
  const packetsBurst =
    packetsRate === 0 ? Number.POSITIVE_INFINITY : options.settings.inboundPacketsBurst;
  const pauses = createDeadlines(now());
  let ready: Peer[] = [];
  /** In the order in which they came: strangers that wait for their turn. */
  const strangers = createQueue<Peer>();
  let strangersHeard = 0; // in this turn
  let isScheduled = false;
  let packetsRead = 0; // ever

  return {
    begin(peer, bytes) {
      if (!peer.isWaiting) {
        fill(peer, now());
        peer.packetsLeft = Math.min(packetsPerTurn, Math.floor(peer.packetTokens));
      }
      peer.byteTokens -= bytes;
      if (bytes > 0 && peer.phase.at !== "open" && !peer.isWaiting) hear(peer);
    },
    packet(peer) {
      packetsRead++;
      peer.packetTokens--;
      if (--peer.packetsLeft < 0) stop(peer);
    },
    fragment(peer) {
      if (--peer.packetsLeft < 0) stop(peer);
    },
    end(peer, bytes) {
      peer.isLarge = bytes >= largeChunkBytes;
      if (peer.byteTokens < 0 || peer.isLarge) stop(peer);
    },
    entered(peer) {
      peer.byteTokens = bytesBurst;
      peer.packetTokens = packetsBurst;
    },
    tick: (nowMs) => pauses.tick(nowMs),
    get paused() {
      return pauses.size;
    },
    get strangersWaiting() {
      return strangers.size;
    },
  };

  function fill(peer: Peer, nowMs: number): void {
    const share = peer.phase.at === "open" ? 1 : strangerShare;
    const part = (share * (nowMs - peer.inflowMs)) / 1000;
    peer.byteTokens = Math.min(bytesBurst * share, peer.byteTokens + part * bytesRate);
    peer.packetTokens = Math.min(packetsBurst * share, peer.packetTokens + part * packetsRate);
    peer.inflowMs = nowMs;
  }

  function stop(peer: Peer): void {
    if (peer.isWaiting || peer.phase.at === "closed") return;
    peer.isWaiting = true;
    peer.connection.pause();
    const waitMs = waitOf(peer);
    if (waitMs === 0) {
      queue(peer);
      return;
    }
    const limit = peer.byteTokens < 0 ? "bytes" : "packets";
    metrics.inboundPaused(peer.connection.transport, limit);
    const deadlineMs = peer.inflowMs + waitMs;
    pauses.add({ deadlineMs, slot: null, place: -1, expired: () => queue(peer) });
  }

  /** Until there is a token of each, from when they were filled last; 0: there are. */
  function waitOf({ phase, byteTokens, packetTokens }: Peer): number {
    const share = phase.at === "open" ? 1 : strangerShare;
    const bytesMs = byteTokens < 0 ? (-byteTokens * 1000) / (share * bytesRate) : 0;
    const packetsMs = packetTokens < 1 ? ((1 - packetTokens) * 1000) / (share * packetsRate) : 0;
    return Math.max(bytesMs, packetsMs);
  }

  /** Now, if nobody waits and this turn has room; else it is kept for its own. */
  function hear(peer: Peer): void {
    schedule();
    if (strangers.size === 0 && strangersHeard < strangersPerTurn) strangersHeard++;
    else stop(peer);
  }

  function queue(peer: Peer): void {
    if (peer.phase.at === "open") ready.push(peer);
    else strangers.push(peer);
    schedule();
  }

  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    nextTurn(turn);
  }

  function turn(): void {
    isScheduled = false;
    const those = ready;
    ready = [];
    const packetsUntil = packetsRead + packetsOfWaitingPerTurn;
    let count = 0;
    let sockets = 0;
    for (const peer of those) {
      if (packetsRead >= packetsUntil || sockets >= socketsPerTurn) break;
      count++;
      sockets += peer.isLarge ? socketsOfLarge : 1;
      if (peer.phase.at === "closed") continue;
      peer.isWaiting = false;
      readOn(peer);
    }
    // Whoever waits again is behind those who have not had their turn yet.
    if (count < those.length) ready = those.slice(count).concat(ready);
    hearThoseWhoWait();
    // Also to begin anew: those that were heard now count until the next turn.
    if (ready.length > 0 || strangers.size > 0 || strangersHeard > 0) schedule();
  }

  function hearThoseWhoWait(): void {
    strangersHeard = 0;
    for (let left = strangers.size; left > 0 && strangersHeard < strangersPerTurn; left--) {
      const peer = strangers.shift();
      if (peer === undefined) return;
      peer.isWaiting = false;
      if (peer.phase.at === "closed") continue;
      strangersHeard++;
      readOn(peer);
    }
  }
}
