/**
 * Which accounts have seats on which node, and which nodes live: so that the seats of a node that
 * died are found without a look at everything. A hint for whoever cleans up: it decides nothing.
 */

export interface NodeLedger {
  /**
   * Says that the node lives, and asks which others have not said so for `silentMs`: 16 at most,
   * the longest silent first. Throws RegistryUnavailable, as every call here.
   */
  beat(node: string, silentMs: number): Promise<Beat>;
  /** As `beat`, in a list of its own: for a quick heart, and for nodes that answer questions. */
  pulse(node: string, silentMs: number): Promise<Pulse>;
  /**
   * Strikes a node off the list of pulses, unless its heart has beaten within `silentMs`. The time
   * by the store's clock, to the one caller who struck it off; null to the others.
   */
  claim(node: string, silentMs: number): Promise<number | null>;
  /** Writes down a change, and returns how many tags the node's ledger has then. */
  note(node: string, change: LedgerChange): Promise<number>;
  /** Some tags of a node's ledger, in any order; none: it is empty. */
  draw(node: string, count: number): Promise<readonly string[]>;
  /** Strikes a node off with its ledger, unless it has said within `silentMs` that it lives. */
  forget(node: string, silentMs: number): Promise<void>;
}

export interface Beat {
  readonly atMs: number; // by the store's clock
  readonly silent: readonly string[];
}

export interface Pulse extends Beat {
  /** How many other nodes are not silent. */
  readonly others: number;
  /** Who of them was heard last. */
  readonly witness: string | null;
}

export interface LedgerChange {
  /** Tags of accounts; a tag counts once, however often it is added. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** What stood there before does not count any more. */
  readonly isWhole?: boolean;
}

export const silentNodesMax = 16; // the next beat tells of more

/** For nodes inside one process. */
export function createMemoryLedger(clock: { now(): number }): NodeLedger {
  const beats = new Map<string, number>();
  const pulses = new Map<string, number>();
  const ledgers = new Map<string, Set<string>>(); // none is empty

  return {
    async beat(node, silentMs) {
      const atMs = clock.now();
      beats.set(node, atMs);
      return { atMs, silent: silentOf(beats, atMs - silentMs) };
    },
    async pulse(node, silentMs) {
      const atMs = clock.now();
      pulses.set(node, atMs);
      const others = [...pulses]
        .filter(([name, lastMs]) => name !== node && lastMs > atMs - silentMs)
        .sort(([a, aMs], [b, bMs]) => bMs - aMs || (a < b ? 1 : -1));
      const silent = silentOf(pulses, atMs - silentMs);
      return { atMs, silent, others: others.length, witness: others[0]?.[0] ?? null };
    },
    async claim(node, silentMs) {
      const atMs = clock.now();
      if ((pulses.get(node) ?? Number.POSITIVE_INFINITY) > atMs - silentMs) return null;
      pulses.delete(node);
      return atMs;
    },
    async note(node, { added, removed, isWhole = false }) {
      const before = isWhole ? undefined : ledgers.get(node);
      const tags = new Set([...(before ?? []), ...added]);
      for (const tag of removed) tags.delete(tag);
      if (tags.size > 0) ledgers.set(node, tags);
      else ledgers.delete(node);
      return tags.size;
    },
    draw: async (node, count) => [...(ledgers.get(node) ?? [])].slice(0, count),
    async forget(node, silentMs) {
      const lastMs = beats.get(node);
      if (lastMs !== undefined && lastMs > clock.now() - silentMs) return;
      beats.delete(node);
      ledgers.delete(node);
      const pulseMs = pulses.get(node) ?? 0;
      if (pulseMs <= clock.now() - silentMs) pulses.delete(node);
    },
  };
}

function silentOf(heard: ReadonlyMap<string, number>, sinceMs: number): readonly string[] {
  return [...heard]
    .filter(([, lastMs]) => lastMs <= sinceMs)
    .sort(([a, aMs], [b, bMs]) => aMs - bMs || (a < b ? -1 : 1))
    .slice(0, silentNodesMax)
    .map(([name]) => name);
}
