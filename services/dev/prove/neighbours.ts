/** Healthy clients of a node under attack, one on TCP and one on WebSocket, that never pause. */
import { join } from "node:path";
import type { Wire } from "@holdfast/client/wire";
import { encodeResponse } from "@holdfast/protocol";
import { quantile } from "./figures.ts";
import type { Lab } from "./lab.ts";

export type NeighbourOrder =
  | { readonly kind: "begin"; readonly tokens: readonly (readonly [url: string, token: string])[] }
  | { readonly kind: "phase" }
  | { readonly kind: "end" };

export interface NeighbourPhase {
  readonly asked: number;
  readonly answered: number;
  readonly tookMs: readonly number[];
}

export interface PhaseFigures {
  readonly asked: number;
  readonly unanswered: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly slowestMs: number;
}

export interface Neighbours {
  /** Of their process. */
  readonly pid: number;
  /** How it went since the last call; never about nothing. */
  phase(): Promise<PhaseFigures>;
  stop(): Promise<void>;
}

const asksLeast = 20;

export async function startNeighbours(lab: Lab, edgeIndex = 0): Promise<Neighbours> {
  const { urls } = lab.edges[edgeIndex]!; // the caller knows how many there are
  let heard: ((told: NeighbourPhase) => void) | null = null;
  // The kernel ends it with this process, however that ends.
  const script = join(import.meta.dir, "neighbour-main.ts");
  const child = Bun.spawn(["setpriv", "--pdeathsig", "KILL", process.execPath, script], {
    stdio: ["ignore", "ignore", "inherit"],
    ipc: (told: NeighbourPhase) => heard?.(told),
  });
  const ask = (order: NeighbourOrder): Promise<NeighbourPhase> => {
    const { promise, resolve, reject } = Promise.withResolvers<NeighbourPhase>();
    heard = resolve;
    void child.exited.then(() => reject(new Error("The neighbours have ended")));
    child.send(order);
    return promise;
  };
  const tokens = await Promise.all(
    urls.map(async (url, index) => [url, await lab.issue(`neighbour-${index}`)] as const),
  );
  await ask({ kind: "begin", tokens });

  return {
    pid: child.pid,
    async phase() {
      let told = await ask({ kind: "phase" });
      while (told.asked < asksLeast) {
        await Bun.sleep(50);
        told = together(told, await ask({ kind: "phase" }));
      }
      return {
        asked: told.asked,
        unanswered: told.asked - told.answered,
        p50Ms: quantile(told.tookMs, 0.5),
        p99Ms: quantile(told.tookMs, 0.99),
        slowestMs: Math.max(...told.tookMs),
      };
    },
    async stop() {
      child.send({ kind: "end" } satisfies NeighbourOrder);
      await child.exited;
    },
  };
}

function together(one: NeighbourPhase, other: NeighbourPhase): NeighbourPhase {
  return {
    asked: one.asked + other.asked,
    answered: one.answered + other.answered,
    tookMs: [...one.tookMs, ...other.tookMs],
  };
}

export async function attendHeartbeats(wire: Wire): Promise<void> {
  for (;;) {
    const packet = await wire.next(600_000).catch(() => null);
    if (packet === null) return;
    if (packet.type !== "request") continue;
    wire.sendBytes(encodeResponse(1, packet.command, packet.requestId, 0, packet.body));
  }
}
