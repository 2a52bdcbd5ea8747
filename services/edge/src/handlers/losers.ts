/**
 * Those who lost their seats: told by the node of the login that took them, closed by their own.
 * News may be old when it comes, and the connection may have come back in the meantime, so it says
 * which seat was lost, by its generation. [I3]
 */
import type { Loser } from "@holdfast/cluster";
import type { Claim, LostSeat, Session } from "@holdfast/session";
import type { EdgeNode } from "../node.ts";
import { notify } from "../notices.ts";
import { close, type Peer } from "../peer.ts";

export interface Losers {
  /** Whose seats they were: a connection that serves another is meant by mistake, and stays. */
  readonly account: string;
  readonly displaced: readonly Loser[];
  readonly takenOver: readonly Loser[];
}

/** Whatever has become of the one who logged in, these seats are lost. */
export function tellLosers(node: EdgeNode, by: Peer, claim: Claim): void {
  const { account } = claim.session;
  const atMs = node.clock.now();
  // A call that was given up may have seated this very connection, which then goes on in its new
  // seat: it is no loser.
  const isOther = (seat: LostSeat) => seat.node !== node.id || seat.connection !== by.id;
  const lost = {
    displaced: claim.displaced.filter(isOther),
    takenOver: claim.takenOver.filter(isOther),
  };
  const nodes = new Set([...lost.displaced, ...lost.takenOver].map((seat) => seat.node));
  for (const name of nodes) {
    const displaced = losersOn(name, lost.displaced);
    const takenOver = losersOn(name, lost.takenOver);
    if (name === node.id) closeLosers(node, { account, displaced, takenOver }, 0);
    else {
      node.kicks.tell(name, { account, by: by.seat, displaced, takenOver, atMs });
    }
  }
  for (const seat of claim.lapsed) {
    notify(node, "lapsed", { ...claim.session, ...seat }, seat);
    node.metrics.seatLapsed("lapsed");
  }
}

function losersOn(node: string, seats: readonly LostSeat[]): Loser[] {
  return seats
    .filter((seat) => seat.node === node)
    .map(({ connection, generation }) => ({ connection, generation }));
}

/**
 * These connections of this node lost their seats to a newer one. Returns those that are settled:
 * closed, gone, or back in a newer seat; of the others the answer that decides is on its way.
 */
export function closeLosers(node: EdgeNode, losers: Losers, delayMs: number): string[] {
  const settled: string[] = [];
  const { account } = losers;
  const lists = [
    [losers.displaced, "displaced"],
    [losers.takenOver, "takenOver"],
  ] as const;
  for (const [list, ending] of lists) {
    for (const { connection, generation } of list) {
      const peer = node.hub.peers.get(connection);
      const isOther = peer?.phase.at === "open" && peer.phase.held.session.account !== account;
      if (peer === undefined || isOther || lose(peer, { generation, ending, delayMs })) {
        settled.push(connection);
      }
    }
  }
  return settled;
}

/** A seat that a connection lost while its login was decided, and how it is closed for it. */
export interface Loss {
  readonly generation: number; // 0: not said
  readonly ending: "displaced" | "takenOver" | "sessionEnded";
  /** From the newer login's answer to here, milliseconds. */
  readonly delayMs: number;
}

/** False: it turns out with the answer to its login. */
function lose(peer: Peer, loss: Loss): boolean {
  const { phase } = peer;
  switch (phase.at) {
    case "open":
      if (isLost(phase.held.session, loss)) closeLoser(peer, loss);
      return true;
    case "entering":
      // Of one call only that call's seat can have been lost. Of several, an earlier one was given
      // up but ran: the seat that it took was lost, and this one may have taken another since.
      if (!peer.isUnsure || loss.generation === 0) {
        closeLoser(peer, loss);
        return true;
      }
      if (loss.generation >= (peer.loss?.generation ?? 0)) peer.loss = loss;
      return false;
    default:
      return true; // it has no seat: what it lost, a call had taken that was given up
  }
}

/** Its login was decided, and let it in. True: its seat was lost meanwhile, so it was closed. */
export function hasLost(peer: Peer, session: Session): boolean {
  const { loss } = peer;
  if (loss === null) return false;
  peer.loss = null;
  if (isLost(session, loss)) closeLoser(peer, loss);
  return peer.phase.at === "closed";
}

function isLost({ generation }: Session, loss: Loss): boolean {
  return loss.generation === 0 || generation <= loss.generation;
}

function closeLoser(peer: Peer, { ending, delayMs }: Loss): void {
  if (ending === "sessionEnded") {
    close(peer, ending);
    return;
  }
  const foundBy = ending === "displaced" ? "event" : "resume";
  // The clocks of two nodes may differ, but it cannot be longer ago than the seat was last found.
  const mostMs = peer.node.clock.monotonic() - foundMs(peer);
  if (!close(peer, ending)) return;
  peer.node.metrics.duplicateClosed(foundBy, Math.min(delayMs, mostMs));
}

function foundMs({ phase, openedMs }: Peer): number {
  return phase.at === "open" ? phase.held.verifiedMs : openedMs;
}

/**
 * The sessions that these connections of this node had are over. One that has logged in again
 * since, with another, holds a newer seat.
 */
export function closeEnded(node: EdgeNode, losers: readonly Loser[]): void {
  for (const { connection, generation } of losers) {
    const peer = node.hub.peers.get(connection);
    if (peer) lose(peer, { generation, ending: "sessionEnded", delayMs: 0 });
  }
}
