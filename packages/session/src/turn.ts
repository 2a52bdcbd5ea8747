/**
 * One node after the other: whoever holds the turn drains, the rest wait. Kept where sessions are
 * kept, because a message may be lost and a turn must not be given twice.
 */
export interface DrainTurn {
  /**
   * True once it is this node's turn, for at most `holdMs`: a node that dies gives way then. False
   * when it did not come within `waitMs`. Never rejects.
   */
  wait(node: string, holdMs: number, waitMs: number): Promise<boolean>;
  /** Gives the turn to the next. Does nothing when it is not this node's. Never rejects. */
  give(node: string): Promise<void>;
}

/** Both may reject when the store is away: then the turn is asked for again. */
export interface TurnStore {
  /** True: nobody held it, or this node did. */
  take(node: string, holdMs: number): Promise<boolean>;
  give(node: string): Promise<void>;
}

const askAgainMs = 250;

export function createTurn(store: TurnStore): DrainTurn {
  return {
    async wait(node, holdMs, waitMs) {
      const untilMs = performance.now() + waitMs;
      do {
        if (await store.take(node, holdMs).catch(() => false)) return true;
        await Bun.sleep(askAgainMs);
      } while (performance.now() < untilMs);
      return false;
    },
    // Not given is not lost: it ends by itself.
    give: (node) => store.give(node).catch(() => {}),
  };
}

/** For nodes inside one process. */
export function createMemoryTurn(): DrainTurn {
  let holder: string | null = null;
  let untilMs = 0;
  return createTurn({
    async take(node, holdMs) {
      if (holder !== null && holder !== node && performance.now() < untilMs) return false;
      holder = node;
      untilMs = performance.now() + holdMs;
      return true;
    },
    async give(node) {
      if (holder === node) holder = null;
    },
  });
}
