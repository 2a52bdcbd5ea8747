/**
 * The quick way to know that a node is dead: its heart beats in the store several times in each
 * renew interval. Whose heart has stopped is asked over the bus, three times; only if nobody
 * answers there, while others do, and this node has itself reached the store for a whole lease,
 * it is dead for sure, and its seats need not wait for their leases. [I3]
 */
import { type NodeLedger, RegistryUnavailable } from "@holdfast/session";
import type { EdgeConfig } from "./config.ts";
import type { EdgeNode } from "./node.ts";
import { createReach } from "./reach.ts";

const rounds = 3;

export interface HeartTimes {
  readonly pulseMs: number;
  /** Whose heart has not beaten for so long is asked. */
  readonly suspectMs: number;
  /** For one answer; three are waited for. */
  readonly answerMs: number;
}

/** By default 1 s, 4 s and 625 ms: dead within 4 + 1.1 + 3 x 0.625 = 7 s. */
export function heartTimes({ renewIntervalMs }: Pick<EdgeConfig, "renewIntervalMs">): HeartTimes {
  const pulseMs = Math.max(100, renewIntervalMs / 5);
  // A busy machine is late now and then, whatever the settings say.
  const suspectMs = Math.max(2000, 4 * pulseMs);
  return { pulseMs, suspectMs, answerMs: Math.max(500, renewIntervalMs / 8) };
}

export interface Heart {
  /** Every `pulseMs`. Never rejects. */
  beat(): Promise<void>;
  /** Since the store last answered a pulse. */
  silentMs(): number;
  /** How long it has answered them without a gap. */
  steadyMs(): number;
  /**
   * Other nodes that spoke to the store: the most at once within a lease. Who has fallen silent may
   * have gone where this store is not the one that counts.
   */
  readonly others: number;
  end(): void;
}

export function createHeart(
  nodeOf: () => EdgeNode,
  ledger: NodeLedger,
  onDead: (name: string, diedAtMs: number) => void,
): Heart {
  const times = () => heartTimes(nodeOf().config);
  const reach = createReach(
    () => nodeOf().clock,
    () => times().suspectMs,
  );
  /** Whose heart stood still at the last answer, and until when nobody asks for them again. */
  let stopped = new Map<string, number>();
  let witness: string | null = null;
  let others = 0;
  let othersMs = Number.NEGATIVE_INFINITY; // when there were as many
  let isBeating = false;
  let isEnded = false;

  return {
    beat,
    silentMs: reach.silentMs,
    steadyMs: reach.steadyMs,
    get others() {
      return others;
    },
    end() {
      isEnded = true;
    },
  };

  async function beat(): Promise<void> {
    if (isBeating || isEnded) return;
    isBeating = true;
    try {
      const { id, clock, config } = nodeOf();
      const pulse = await ledger.pulse(id, times().suspectMs);
      reach.answered(pulse.atMs);
      ({ witness } = pulse);
      const nowMs = clock.monotonic();
      if (pulse.others >= others || nowMs - othersMs >= config.leaseMs) {
        ({ others } = pulse);
        othersMs = nowMs;
      }
      const before = stopped;
      stopped = new Map(
        pulse.silent
          .filter((name) => name !== id)
          .map((name) => [name, before.get(name) ?? nowMs] as const),
      );
      if (!isEnded && isJudge()) for (const name of stopped.keys()) look(name, nowMs);
    } catch (error) {
      failed(error);
    } finally {
      isBeating = false;
    }
  }

  function isJudge(): boolean {
    return reach.steadyMs() >= nodeOf().config.leaseMs;
  }

  function look(name: string, nowMs: number): void {
    if (nowMs < (stopped.get(name) ?? 0)) return;
    stopped.set(name, nowMs + rounds * times().answerMs + times().suspectMs);
    inquire(name).catch(failed);
  }

  async function inquire(name: string): Promise<void> {
    const { clock } = nodeOf();
    const { answerMs, suspectMs } = times();
    for (let round = 0; round < rounds; round++) {
      const untilMs = clock.monotonic() + answerMs;
      const heard = await listen(name, answerMs);
      if (heard === "answer") return;
      if (heard === "nothing") {
        stopped.set(name, clock.monotonic()); // the witness may have died with it: ask anew
        return;
      }
      // NATS says at once that nobody listens there: who is just coming back gets its time.
      await clock.sleep(Math.max(1, untilMs - clock.monotonic()));
      if (isEnded || !stopped.has(name) || !isJudge()) return;
    }
    const diedAtMs = await ledger.claim(name, suspectMs);
    if (diedAtMs !== null) onDead(name, diedAtMs);
  }

  /** "others": it does not answer, though the bus carries questions and answers. */
  async function listen(name: string, timeoutMs: number): Promise<"answer" | "others" | "nothing"> {
    const { bus, id } = nodeOf();
    const ask = async (node: string) =>
      (await bus.ask(node, { type: "reach" }, { timeoutMs })).length > 0;
    const sure = witness === null ? [id] : [id, witness];
    const [isHeard, ...isCarried] = await Promise.all([name, ...sure].map(ask));
    if (isHeard) return "answer";
    return isCarried.every(Boolean) ? "others" : "nothing";
  }

  function failed(error: unknown): void {
    if (error instanceof RegistryUnavailable) return; // counted by the adapter
    const { metrics, log } = nodeOf();
    metrics.exception("redis");
    log.error("heart_failed", { error: error instanceof Error ? error.stack : String(error) });
  }
}
