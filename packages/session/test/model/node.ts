/**
 * What an edge node does with the registry, and nothing else of it: logs its connections in, tells
 * the losers, renews, gives seats back. It follows the edge's handlers/login.ts and seats.ts, word
 * for word where that matters.
 */
import { deriveCredential } from "../../src/identifiers.ts";
import {
  type Claim,
  type Holding,
  type LostSeat,
  type Refusal,
  RegistryUnavailable,
  type Seat,
  type Session,
  type SessionRegistry,
  type Verdict,
} from "../../src/session.ts";
import { createLink, type Link } from "./link.ts";
import { type ModelStore, withoutRevocation } from "./store.ts";

export type Ending = "displaced" | "takenOver" | "sessionEnded" | "left";

export interface Held {
  readonly session: Session;
  readonly seat: Seat;
  proven: boolean;
}

/** One connection, as its node sees it and as its client does. */
export interface Peer {
  readonly seat: Seat;
  readonly node: ModelNode;
  phase:
    | { readonly at: "login" | "entering" }
    | { readonly at: "open"; readonly held: Held }
    | { readonly at: "closed"; readonly ending: Ending };
  /** The client is gone; its node need not have noticed. */
  isCut: boolean;
  /** A login was given up, and may have taken a seat all the same. */
  isUnsure: boolean;
  loss: { readonly generation: number; readonly ending: "displaced" | "takenOver" } | null;
  readonly hears: {
    admitted(claim: Claim): void;
    refused(why: Refusal | "unavailable"): void;
    closed(ending: Ending): void;
  };
}

/** A connection, and the generation of the seat that it lost. */
export interface Loser {
  readonly connection: string;
  readonly generation: number;
}

export interface ConnectEvent {
  readonly to: string;
  readonly displaced: readonly Loser[];
  readonly takenOver: readonly Loser[];
}

export interface ModelNode {
  readonly id: string;
  readonly link: Link;
  readonly peers: Map<string, Peer>; // by connection, as long as the node has them
  isUp: boolean;
  isPaused: boolean;
  /** Since when nothing was heard of it; 0: it is heard. */
  silentSinceMs: number;
  open(hears: Peer["hears"]): Peer;
  /** Auth or Reconnect; resolves once it is answered or nobody is left to answer. */
  logIn(peer: Peer, kind: "login" | "resume", credential: string): Promise<void>;
  renew(): Promise<void>;
  told(event: ConnectEvent): void;
  close(peer: Peer, ending: Ending): void;
  reap(tag: string, node: string, diedAtMs: number): Promise<void>;
}

export interface Outside {
  readonly store: ModelStore;
  publish(event: ConnectEvent): void;
  /** Something the model does not expect a node to meet. */
  failed(error: unknown): void;
  /** A node ends a connection, and tells its client why. */
  closed(peer: Peer, ending: Ending): void;
}

const resumeHoldMs = 4_500;

export function createNode(id: string, outside: Outside): ModelNode {
  const { store } = outside;
  const link = createLink(store.now);
  const registry: SessionRegistry = store.connect(link);
  const key = new Uint8Array(32).fill(id.length).map((one, at) => one + (id.charCodeAt(at) || 0));
  const owed = new Set<Holding>();
  const peers = new Map<string, Peer>();
  let connections = 0;
  let isRenewing = false;
  const node: ModelNode = {
    ...{ id, link, peers, isUp: true, isPaused: false, silentSinceMs: 0 },
    ...{ open, logIn, renew, told, close, reap },
  };
  return node;

  function open(hears: Peer["hears"]): Peer {
    const connection = `${id}-c${++connections}`;
    const peer: Peer = {
      ...{ seat: { node: id, connection }, node, hears, isCut: false },
      ...{ isUnsure: false, loss: null },
      phase: { at: "login" },
    };
    peers.set(connection, peer);
    return peer;
  }

  async function logIn(peer: Peer, kind: "login" | "resume", credential: string): Promise<void> {
    if (peer.phase.at !== "login") return;
    peer.phase = { at: "entering" };
    let answer: Claim | Refusal;
    try {
      answer = withoutRevocation(await ask(peer, kind, credential));
    } catch (error) {
      peer.isUnsure = true;
      if (!(error instanceof RegistryUnavailable)) outside.failed(error);
      if (backToLogin(peer)) hear(peer, () => peer.hears.refused("unavailable"));
      return;
    }
    if (typeof answer !== "string") admitted(peer, kind, answer);
    else if (backToLogin(peer)) {
      const refusal = answer;
      hear(peer, () => peer.hears.refused(refusal));
    }
  }

  async function ask(peer: Peer, kind: "login" | "resume", credential: string) {
    const { seat } = peer;
    const derived = deriveCredential(key, seat.connection, credential);
    const presented = { seat, ...derived, clientMetadata: {} };
    if (kind === "login") return await registry.login(credential, presented);
    const startedMs = store.now();
    const giveUpMs = startedMs + resumeHoldMs;
    for (;;) {
      try {
        return await registry.resume(credential, presented, store.now() - startedMs);
      } catch (error) {
        peer.isUnsure = true;
        const isOver = store.now() >= giveUpMs || peer.phase.at !== "entering";
        if (isOver || !(error instanceof RegistryUnavailable)) throw error;
      }
    }
  }

  function admitted(peer: Peer, kind: "login" | "resume", claim: Claim): void {
    tellLosers(peer, claim);
    const { loss } = peer;
    peer.loss = null;
    if (loss && claim.session.generation <= loss.generation) close(peer, loss.ending);
    if (peer.phase.at === "entering") {
      const { session } = claim;
      const { seat } = peer;
      peer.phase = { at: "open", held: { session, seat, proven: false } };
      hear(peer, () => peer.hears.admitted(claim));
      return;
    }
    const isDisplaced = peer.phase.at === "closed" && peer.phase.ending !== "left";
    if (kind === "login" && !isDisplaced) {
      registry.end({ session: claim.session }, "client left").catch(failed);
    } else leave({ session: claim.session, seat: peer.seat, proven: false });
  }

  function tellLosers(by: Peer, claim: Claim): void {
    const isOther = (seat: LostSeat) => seat.connection !== by.seat.connection;
    const displaced = claim.displaced.filter(isOther);
    const takenOver = claim.takenOver.filter(isOther);
    for (const to of new Set([...displaced, ...takenOver].map((seat) => seat.node))) {
      const on = (seats: readonly LostSeat[]) =>
        seats
          .filter((seat) => seat.node === to)
          .map(({ connection, generation }) => ({ connection, generation }));
      const event = { to, displaced: on(displaced), takenOver: on(takenOver) };
      if (to === id) told(event);
      else outside.publish(event);
    }
  }

  function told({ displaced, takenOver }: ConnectEvent): void {
    for (const [losers, ending] of [
      [displaced, "displaced"],
      [takenOver, "takenOver"],
    ] as const) {
      for (const { connection, generation } of losers) {
        const peer = peers.get(connection);
        if (peer) lose(peer, { generation, ending });
      }
    }
  }

  /** As the edge does, in handlers/losers.ts: news may be older than the seat it meets. */
  function lose(peer: Peer, loss: NonNullable<Peer["loss"]>): void {
    const { phase } = peer;
    if (phase.at === "open") {
      if (phase.held.session.generation <= loss.generation) close(peer, loss.ending);
    } else if (phase.at === "entering") {
      if (!peer.isUnsure) close(peer, loss.ending);
      else if (loss.generation >= (peer.loss?.generation ?? 0)) peer.loss = loss;
    }
  }

  function backToLogin(peer: Peer): boolean {
    if (peer.phase.at !== "entering") return false;
    peer.phase = { at: "login" };
    return true;
  }

  function close(peer: Peer, ending: Ending): void {
    const was = peer.phase;
    if (was.at === "closed") return;
    outside.closed(peer, ending);
    peer.phase = { at: "closed", ending };
    peers.delete(peer.seat.connection);
    hear(peer, () => peer.hears.closed(ending));
    if (was.at === "open") leave(was.held);
  }

  /** What is said to a client that has gone is lost. */
  function hear(peer: Peer, say: () => void): void {
    if (!peer.isCut) say();
  }

  async function renew(): Promise<void> {
    if (isRenewing) return;
    isRenewing = true;
    for (const holding of owed) leave(holding);
    const open = [...peers.values()].filter((peer) => peer.phase.at === "open");
    const holdings = open.map((peer) => (peer.phase as { held: Held }).held); // just filtered
    const isHeld = (at: number) => {
      const { phase } = open[at]!; // as many as there are holdings
      return phase.at === "open" && phase.held === holdings[at];
    };
    const verdicts = holdings.length === 0 ? [] : await registry.renew(holdings, isHeld);
    isRenewing = false;
    const endings: Record<Exclude<Verdict, "held">, Ending> = {
      ...{ displaced: "displaced", takenOver: "takenOver", ended: "sessionEnded" },
    };
    for (const [index, verdict] of verdicts.entries()) {
      if (verdict === null || verdict === "held" || !isHeld(index)) continue;
      close(open[index]!, endings[verdict]); // one verdict each
    }
  }

  function leave(holding: Holding): void {
    owed.delete(holding);
    registry.leave(holding).catch((error) => {
      failed(error);
      owed.add(holding);
    });
  }

  async function reap(tag: string, dead: string, diedAtMs: number): Promise<void> {
    await registry.reap(tag, dead, diedAtMs).catch(failed);
  }

  function failed(error: unknown): void {
    if (!(error instanceof RegistryUnavailable)) outside.failed(error);
  }
}

export function isAwake(node: ModelNode): boolean {
  return node.isUp && !node.isPaused;
}
