/**
 * Healthy clients of a node under attack: one on TCP and one on WebSocket that never pause, and
 * newcomers who log in meanwhile.
 */
import { join } from "node:path";
import type { Wire } from "@holdfast/client/wire";
import { encodeResponse } from "@holdfast/protocol";
import { quantile } from "./figures.ts";
import type { Lab } from "./lab.ts";

export type NeighbourOrder =
  | { readonly kind: "begin"; readonly tokens: readonly Token[] }
  | { readonly kind: "phase" }
  /** One after the other, so long apart, whether the one before is in or not. */
  | { readonly kind: "newcomers"; readonly tokens: readonly Token[]; readonly everyMs: number }
  | { readonly kind: "end" };

type Token = readonly [url: string, token: string];

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

export interface Neighbours extends AsyncDisposable {
  /** Of their process. */
  readonly pid: number;
  /** How it went since the last call; never about nothing. */
  phase(): Promise<PhaseFigures>;
  /**
   * So many log in over that time, from the first byte of their connection to the answer, and leave
   * at once. Not while a phase is asked for.
   */
  newcomers(count: number, withinMs: number): Promise<NeighbourPhase>;
  /** Once more, or after they have ended, it does nothing. */
  stop(): Promise<void>;
}

const asksLeast = 20;
/** They leave at once, but one may be seen out later than the next of its account comes. */
const newcomersOfAnAccount = 10;

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
  const issue = (count: number, prefix: string) =>
    Promise.all(
      Array.from({ length: count }, async (_, index) => {
        const url = urls[index % urls.length]!; // in bounds by its remainder
        return [url, await lab.issue(`${prefix}-${index}`, newcomersOfAnAccount)] as const;
      }),
    );
  const stop = async () => {
    const isRunning = child.exitCode === null && child.signalCode === null;
    if (isRunning) child.send({ kind: "end" } satisfies NeighbourOrder);
    await child.exited;
  };
  try {
    await ask({ kind: "begin", tokens: await issue(urls.length, "neighbour") });
  } catch (error) {
    await stop();
    throw error;
  }

  return {
    stop,
    [Symbol.asyncDispose]: stop,
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
    async newcomers(count, withinMs) {
      const tokens = await issue(count, "newcomer");
      return ask({ kind: "newcomers", tokens, everyMs: withinMs / count });
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
