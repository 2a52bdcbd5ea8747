/**
 * Closes everyone, told ServerShutdown, in random order and spread over a window, so that the
 * other nodes are not stampeded. Each peer at its turn stops reading and first gets its unanswered
 * requests answered, within a grace. [§10] [I7]
 */
import type { EdgeNode } from "./node.ts";
import { close, type Peer } from "./peer.ts";

const tickMs = 50;

interface Turn {
  readonly peer: Peer;
  readonly atMs: number;
}

/** Resolves when every peer has been told; sockets may linger after that. */
export async function drainPeers(node: EdgeNode): Promise<void> {
  const { clock, config } = node;
  const startMs = clock.monotonic();
  const turns = drawTurns(node, startMs);
  const finishing = new Set<Peer>();
  const endMs = startMs + config.drainWindowMs + config.drainGraceMs;
  node.hub.finished = (peer) => {
    finishing.delete(peer);
    close(peer, "serverShutdown");
  };

  let next = 0;
  while (node.hub.peers.size > 0 && clock.monotonic() < endMs) {
    const nowMs = clock.monotonic();
    for (; next < turns.length && turns[next]!.atMs <= nowMs; next++) {
      finish(turns[next]!.peer, nowMs, finishing); // next < length
    }
    for (const peer of finishing) {
      if (nowMs >= peer.finishUntilMs && finishing.delete(peer)) close(peer, "serverShutdown");
    }
    if (next === turns.length && finishing.size === 0) break;
    await clock.sleep(tickMs);
  }
  // Whoever came in after the turns were drawn, and whoever is left.
  for (const peer of node.hub.peers.values()) close(peer, "serverShutdown");
}

/** Even slots in random order: a random moment each would pile up by chance. */
function drawTurns(node: EdgeNode, startMs: number): Turn[] {
  const peers = shuffled([...node.hub.peers.values()]);
  const stepMs = node.config.drainWindowMs / Math.max(1, peers.length);
  return peers.map((peer, index) => ({ peer, atMs: startMs + index * stepMs }));
}

function shuffled<T>(items: T[]): T[] {
  for (let last = items.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1));
    [items[last], items[other]] = [items[other]!, items[last]!]; // both within the array
  }
  return items;
}

function finish(peer: Peer, nowMs: number, finishing: Set<Peer>): void {
  if (peer.phase.at === "closed") return;
  if ((peer.calls?.length ?? 0) === 0) {
    close(peer, "serverShutdown");
    return;
  }
  peer.finishUntilMs = nowMs + peer.node.config.drainGraceMs;
  peer.connection.pause();
  finishing.add(peer);
}
