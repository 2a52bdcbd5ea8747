/**
 * The seats of this node, kept in the registry: renewed while their connections live, given back
 * when they end. Absence is not loss: only a positive record closes a connection. [I3] [I7]
 */
import { closeCodeNames, type Ending, type EndingName } from "@holdfast/protocol";
import {
  type NodeLedger,
  RegistryUnavailable,
  type Session,
  type Verdict,
} from "@holdfast/session";
import { createFirstLeases } from "./first-leases.ts";
import { createLedgerKeeper } from "./ledger-keeper.ts";
import type { EdgeNode } from "./node.ts";
import { notify } from "./notices.ts";
import { close, type Held, type Peer } from "./peer.ts";

/** Seats that could not be given back wait for the next renewal, up to this many. */
const owedMax = 20_000;
const leavesAtOnce = 256;

export interface Seats {
  /** A login or resume was answered: its account is written into the node's ledger. */
  taken(peer: Peer, session: Session): void;
  /** Says that this node lives, and sees to the seats of those that do not. Never rejects. */
  beat(): Promise<void>;
  /** Checks all seats once, and closes what has lost its own. Never rejects. */
  renew(): Promise<void>;
  /** Gives a seat back now, or as soon as the registry answers. `ending` null: nobody was told. */
  giveBack(held: Held, ending: Ending | null): void;
  /** A call that may take a seat or end one: `settle` waits for it, too. */
  track<T>(call: Promise<T>): Promise<T>;
  /** A call to the registry went wrong, and nobody waits for it. */
  failed(error: unknown): void;
  /** Resolves when all seats have been given back, or at the deadline. */
  settle(deadlineMs: number): Promise<void>;
  /** Takes this node out of the ledger: nobody need look for its seats. */
  end(): Promise<void>;
  /** When all seats were last checked, milliseconds since 1970; 0: never. */
  readonly renewedAtMs: number;
}

const endingOfVerdict: Record<Exclude<Verdict, "held">, EndingName> = {
  displaced: "displaced",
  takenOver: "takenOver",
  ended: "sessionEnded",
};

export function createSeats(nodeOf: () => EdgeNode, ledger: NodeLedger | null = null): Seats {
  const keeper = ledger && createLedgerKeeper(nodeOf, ledger);
  const firstLeases = createFirstLeases(nodeOf);
  const owed = new Set<Held>();
  let underWay = 0; // calls that may change what this node holds
  let isRenewing = false;
  let renewedAtMs = 0;

  return {
    taken(peer, { tag }) {
      keeper?.taken(tag);
      firstLeases.answered(peer);
    },
    beat: async () => keeper?.pass(),
    end: async () => keeper?.end(),
    renew,
    giveBack,
    track,
    failed,
    settle,
    get renewedAtMs() {
      return renewedAtMs;
    },
  };

  async function renew(): Promise<void> {
    if (isRenewing) return;
    isRenewing = true;
    try {
      await renewAll(nodeOf());
    } catch (error) {
      failed(error);
    } finally {
      isRenewing = false;
    }
  }

  async function renewAll(node: EdgeNode): Promise<void> {
    for (const held of [...owed].slice(0, leavesAtOnce)) leave(held);
    const peers: Peer[] = [];
    const holdings: Held[] = [];
    for (const peer of node.hub.peers.values()) {
      if (peer.phase.at !== "open") continue;
      peers.push(peer);
      holdings.push(peer.phase.held);
    }
    const startedMs = node.clock.monotonic();
    const verdicts = await node.registry.renew(holdings, (at) => isHeld(peers[at]!, holdings[at]!));
    let isWhole = true;
    for (const [index, verdict] of verdicts.entries()) {
      if (verdict === null) isWhole = false;
      else if (verdict !== "held") lost(peers[index]!, holdings[index]!, verdict); // same order
    }
    if (isWhole) {
      renewedAtMs = node.clock.now();
      const tookMs = node.clock.monotonic() - startedMs;
      node.metrics.renewed(tookMs);
      node.metrics.redisTook("reconcile", tookMs);
    }
  }

  function lost(peer: Peer, held: Held, verdict: Exclude<Verdict, "held">): void {
    const { metrics } = peer.node;
    // It may have ended, or have been told by an event, while the registry was asked.
    if (!isHeld(peer, held)) return;
    if (!close(peer, endingOfVerdict[verdict])) return;
    metrics.repaired("closed");
    if (verdict !== "ended") metrics.duplicateClosed("reconcile", null);
  }

  function giveBack(held: Held, ending: Ending | null): void {
    if (ending !== null) {
      const reason = ending.code === null ? "" : closeCodeNames[ending.code];
      notify(nodeOf(), "closed", held.session, held.seat, reason);
    }
    leave(held);
  }

  function leave(held: Held): void {
    owed.delete(held);
    track(nodeOf().registry.leave(held)).catch((error) => {
      failed(error);
      if (owed.size < owedMax) owed.add(held); // beyond, the lease frees it
    });
  }

  function track<T>(call: Promise<T>): Promise<T> {
    underWay++;
    return call.finally(() => underWay--);
  }

  function failed(error: unknown): void {
    const { metrics, log } = nodeOf();
    if (error instanceof RegistryUnavailable) return; // counted by the adapter
    metrics.exception("redis");
    log.error("registry_failed", { error: error instanceof Error ? error.stack : String(error) });
  }

  async function settle(deadlineMs: number): Promise<void> {
    const { clock } = nodeOf();
    for (const held of owed) leave(held);
    const untilMs = clock.monotonic() + deadlineMs;
    while (underWay > 0 && clock.monotonic() < untilMs) await clock.sleep(10);
  }
}

function isHeld({ phase }: Peer, held: Held): boolean {
  return phase.at === "open" && phase.held === held;
}
