/**
 * Which topics this node listens to: those with a member, and for a short while those whose last
 * member has just left, so that members who come and go do not become traffic between servers.
 */
import type { Clock } from "@holdfast/runtime";

export interface TopicInterest {
  set(topic: string, isWanted: boolean): void;
  /** Listens to nothing from here on. */
  stop(): void;
  readonly size: number;
}

interface Ear {
  readonly subscription: { drain(): Promise<void>; isClosed(): boolean };
  /** When its last member left; null: it has members. */
  leftAtMs: number | null;
}

/** Topics without members that stay subscribed; beyond, the next one is let go at once. */
const keptMaxDefault = 10_000;

export function createTopicInterest(options: {
  readonly clock: Clock;
  readonly keepMs: number;
  readonly keptMax?: number;
  readonly subscribe: (topic: string) => Ear["subscription"];
}): TopicInterest {
  const { clock, keepMs, keptMax = keptMaxDefault } = options;
  const ears = new Map<string, Ear>();
  const kept = new Set<string>(); // those without members, the first to have lost its last first
  let stopSweep: (() => void) | null = null;
  let isStopped = false;

  return {
    set(topic, isWanted) {
      if (isStopped) return;
      if (isWanted) want(topic);
      else unwant(topic);
    },
    stop() {
      isStopped = true;
      stopSweep?.();
      for (const topic of [...ears.keys()]) drop(topic);
    },
    get size() {
      return ears.size;
    },
  };

  function want(topic: string): void {
    kept.delete(topic);
    const ear = ears.get(topic);
    if (ear) ear.leftAtMs = null;
    else ears.set(topic, { subscription: options.subscribe(topic), leftAtMs: null });
  }

  function unwant(topic: string): void {
    const ear = ears.get(topic);
    if (!ear) return;
    if (kept.size >= keptMax) {
      drop(topic);
      return;
    }
    ear.leftAtMs = clock.monotonic();
    kept.add(topic);
    stopSweep ??= clock.every(Math.max(10, keepMs / 4), sweep);
  }

  function sweep(): void {
    const nowMs = clock.monotonic();
    for (const topic of kept) {
      if ((ears.get(topic)?.leftAtMs ?? 0) + keepMs > nowMs) return; // the others left later
      drop(topic);
    }
    stopSweep?.();
    stopSweep = null;
  }

  function drop(topic: string): void {
    const ear = ears.get(topic);
    ears.delete(topic);
    kept.delete(topic);
    // Not at once: a push that is already on its way is still answered. [I4]
    if (ear && !ear.subscription.isClosed()) ear.subscription.drain().catch(() => {});
  }
}
