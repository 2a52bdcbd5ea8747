/**
 * The seats of this node, kept in the registry: renewed while their connections live, given back
 * when they end. Absence is not loss: only a positive record closes a connection. [I3] [I7]
 */
import { closeCodeNames, type Ending, type EndingName } from "@holdfast/protocol";
import {
  type Holding,
  type NodeLedger,
  RegistryUnavailable,
  type Session,
  type Verdict,
} from "@holdfast/session";
import { createFirstLeases } from "./first-leases.ts";
import { createHeart, heartTimes } from "./heart.ts";
import { createLedgerKeeper } from "./ledger-keeper.ts";
import type { EdgeNode } from "./node.ts";
import { notify } from "./notices.ts";
import { close, type Held, type Peer, verified } from "./peer.ts";
import { createReach } from "./reach.ts";

/** Seats that could not be given back wait for the next renewal, up to this many. */
const owedMax = 20_000;
const leavesAtOnce = 256;
/** Renewed together. When the store gives no verdict on any of them, the rest is not asked. */
const renewedAtOnce = 1024;
/** A node is no witness of the store when more verdicts than this share are missing. */
const missingShareMax = 0.05;

export interface Seats {
  /** A login or resume was answered: its account is written into the node's ledger. */
  taken(peer: Peer, session: Session): void;
  /** Says that this node lives, and sees to the seats of those that do not. Never rejects. */
  beat(): Promise<void>;
  /** Several times in each renew interval: the quick way to tell life from death. Never rejects. */
  pulse(): Promise<void>;
  /** Checks all seats once, and closes what has lost its own. Never rejects. */
  renew(): Promise<void>;
  /** The store does not answer, or not for all seats. */
  isCut(): boolean;
  /** The store does not answer at all. */
  isSilent(): boolean;
  /** How long this node has reached the store without a gap; 0: it does not. */
  reachingMs(): number;
  /** Other nodes that the store has told of: the most at once within a lease. */
  readonly others: number;
  /** When the last pass over all seats began that has ended, monotonic milliseconds. */
  readonly attemptedMs: number;
  /** Gives a seat back now, or as soon as the registry answers. `ending` null: nobody was told. */
  giveBack(held: Holding, ending: Ending | null): void;
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

interface Seated {
  readonly peer: Peer;
  readonly held: Held;
}

const endingOfVerdict: Record<Exclude<Verdict, "held">, EndingName> = {
  displaced: "displaced",
  takenOver: "takenOver",
  ended: "sessionEnded",
};

export function createSeats(nodeOf: () => EdgeNode, ledger: NodeLedger | null = null): Seats {
  const keeper = ledger && createLedgerKeeper(nodeOf, ledger);
  const firstLeases = createFirstLeases(nodeOf);
  const heart = ledger && createHeart(nodeOf, ledger, died);
  const owed = new Set<Holding>();
  const reach = createReach(
    () => nodeOf().clock,
    () => 2.5 * nodeOf().config.renewIntervalMs,
  );
  let underWay = 0; // calls that may change what this node holds
  let renewing: Promise<void> | null = null;
  let isWhole = true; // the last pass
  let isWitness = true; // it missed next to nothing
  let attemptedMs = 0;
  let renewedAtMs = 0;

  return {
    taken(peer, { tag }) {
      keeper?.taken(tag);
      firstLeases.answered(peer);
    },
    beat: async () => keeper?.pass(),
    pulse: async () => heart?.beat(),
    async end() {
      heart?.end();
      await keeper?.end();
    },
    renew() {
      renewing ??= renew().finally(() => {
        renewing = null;
      });
      return renewing;
    },
    isCut: () => !isWhole || isHeartSilent(),
    isSilent: isHeartSilent,
    reachingMs,
    get others() {
      return heart?.others ?? 0;
    },
    get attemptedMs() {
      return attemptedMs;
    },
    giveBack,
    track,
    failed,
    settle,
    get renewedAtMs() {
      return renewedAtMs;
    },
  };

  function died(name: string, diedAtMs: number): void {
    nodeOf().kicks.forget(name);
    void keeper?.buryDead(name, diedAtMs);
  }

  /** Three pulses were not answered, or as many could not be sent since the process woke. */
  function isHeartSilent(): boolean {
    if (heart === null) return false;
    const { clock, config, watchdog } = nodeOf();
    const awakeMs = clock.monotonic() - watchdog.wokeMs;
    return Math.min(heart.silentMs(), awakeMs) > Math.max(1500, 3 * heartTimes(config).pulseMs);
  }

  /**
   * Of a witness less is forgiven than of whoever asks: when all lose the store at once, each must
   * have noticed it before the first of them asks.
   */
  function reachingMs(): number {
    const { pulseMs } = heartTimes(nodeOf().config);
    const isFresh = heart !== null && heart.silentMs() <= Math.max(750, 1.5 * pulseMs);
    return isFresh && isWitness ? Math.min(heart.steadyMs(), reach.steadyMs()) : 0;
  }

  async function renew(): Promise<void> {
    const startedMs = nodeOf().clock.monotonic();
    try {
      await renewAll(nodeOf(), startedMs);
    } catch (error) {
      failed(error);
    }
    attemptedMs = startedMs;
  }

  async function renewAll(node: EdgeNode, startedMs: number): Promise<void> {
    for (const held of [...owed].slice(0, leavesAtOnce)) leave(held);
    const seated: Seated[] = [];
    for (const peer of node.hub.peers.values()) {
      if (peer.phase.at === "open") seated.push({ peer, held: peer.phase.held });
    }
    let missing = 0;
    for (let at = 0; at < seated.length; at += renewedAtOnce) {
      const { known, unknown } = await renewSome(node, seated.slice(at, at + renewedAtOnce));
      missing += unknown;
      if (known > 0 || unknown === 0) continue;
      missing = seated.length - at; // the store is away
      break;
    }
    isWhole = missing === 0;
    isWitness = missing <= seated.length * missingShareMax;
    if (isWitness) reach.answered();
    if (!isWhole) return;
    renewedAtMs = node.clock.now();
    const tookMs = node.clock.monotonic() - startedMs;
    node.metrics.renewed(tookMs);
    node.metrics.redisTook("reconcile", tookMs);
  }

  /** How many got a verdict, and how many that still stand got none. */
  async function renewSome(node: EdgeNode, part: readonly Seated[]) {
    const askedMs = node.clock.monotonic();
    const verdicts = await node.registry.renew(
      part.map(({ held }) => held),
      (at) => isHeld(part[at]!.peer, part[at]!.held), // as many as it was given
    );
    let [known, unknown] = [0, 0];
    for (const [index, { peer, held }] of part.entries()) {
      const verdict = verdicts[index] ?? null;
      if (verdict !== null) known++;
      else if (isHeld(peer, held)) unknown++;
      if (verdict === "held") verified(node, held, askedMs);
      else if (verdict !== null) lost(peer, held, verdict);
    }
    return { known, unknown };
  }

  function lost(peer: Peer, held: Held, verdict: Exclude<Verdict, "held">): void {
    const { metrics } = peer.node;
    // It may have ended, or have been told by an event, while the registry was asked.
    if (!isHeld(peer, held)) return;
    if (!close(peer, endingOfVerdict[verdict])) return;
    metrics.repaired("closed");
    if (verdict !== "ended") metrics.duplicateClosed("reconcile", null);
  }

  function giveBack(held: Holding, ending: Ending | null): void {
    if (ending !== null) {
      const reason = ending.code === null ? "" : closeCodeNames[ending.code];
      notify(nodeOf(), "closed", held.session, held.seat, reason);
    }
    leave(held);
  }

  function leave(held: Holding): void {
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
