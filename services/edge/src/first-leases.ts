/**
 * A new seat has a short lease, for the case that its login runs although nobody heard the answer.
 * Once its client was answered, the seat gets a full lease at once instead of with the next pass:
 * an outage of Redis that begins a moment later must not cost it the seat.
 */
import type { EdgeNode } from "./node.ts";
import { type Held, type Peer, verified } from "./peer.ts";

/** Logins of so long are renewed together; the next pass repairs what this one could not. */
const gatherMs = 100;

export interface FirstLeases {
  /** The peer was just answered, and is open. */
  answered(peer: Peer): void;
}

export function createFirstLeases(nodeOf: () => EdgeNode): FirstLeases {
  let gathered: Peer[] = [];
  let isUnderWay = false;

  return {
    answered(peer) {
      gathered.push(peer);
      if (isUnderWay) return;
      isUnderWay = true;
      void renewAll().finally(() => {
        isUnderWay = false;
      });
    },
  };

  async function renewAll(): Promise<void> {
    const node = nodeOf();
    while (gathered.length > 0) {
      await node.clock.sleep(gatherMs);
      const peers = gathered;
      gathered = [];
      const held = peers.map(heldBy);
      const open = peers.filter((_, index) => held[index] !== null);
      const holdings = held.filter((one): one is Held => one !== null);
      // A verdict against a seat is left to the next pass, which will hear it again.
      const askedMs = node.clock.monotonic();
      const isHeld = (at: number) => heldBy(open[at]!) === holdings[at];
      const verdicts = await node.registry.renew(holdings, isHeld);
      for (const [at, held] of holdings.entries()) {
        if (verdicts[at] === "held") verified(node, held, askedMs);
      }
    }
  }
}

function heldBy({ phase }: Peer): Held | null {
  return phase.at === "open" ? phase.held : null;
}
