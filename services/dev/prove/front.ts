/** What a load balancer is to clients: it asks each edge every so often whether it is ready. */
import type { Lab } from "./lab.ts";

export interface Front {
  /** An address of a ready edge, at random; of any while none is ready. */
  pick(transport: "tcp" | "ws"): string;
  stop(): void;
}

const askEveryMs = 200;

export function openFront(lab: Lab, draw: () => number): Front {
  const ready = new Set(lab.edges);
  const timer = setInterval(() => {
    for (const edge of lab.edges) void look(edge);
  }, askEveryMs);

  return {
    pick(transport) {
      const edges = ready.size > 0 ? [...ready] : lab.edges;
      const edge = edges[Math.floor(draw() * edges.length)]!; // the draw is below 1
      return edge.urls[transport === "tcp" ? 0 : 1];
    },
    stop: () => clearInterval(timer),
  };

  async function look(edge: Lab["edges"][number]): Promise<void> {
    const url = `${edge.description.admin}/readyz`;
    const signal = AbortSignal.timeout(1_000);
    const isReady = await fetch(url, { signal }).then(
      ({ status }) => status === 200,
      () => false,
    );
    if (isReady) ready.add(edge);
    else ready.delete(edge);
  }
}
