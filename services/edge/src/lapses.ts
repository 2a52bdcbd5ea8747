/**
 * Tells of seats that nobody gave back: their node died, and so cannot tell of their end itself.
 * One node of the fleet looks for them at a time; which one is not decided here.
 */
import type { ClusterBus } from "@holdfast/cluster";
import type { Clock } from "@holdfast/runtime";

/** The part of a seat that a notice needs. */
export interface Lapse {
  readonly node: string;
  readonly connection: string;
  readonly sid: string;
  readonly generation: number;
  readonly account: string;
  readonly tag: string;
}

/** 1000 keys each: a walk over 100,000 accounts takes two minutes. */
const stepIntervalMs = 250;

export function watchLapses(options: {
  /** The next few accounts; what it throws is `onFault`'s. */
  readonly step: () => Promise<readonly Lapse[]>;
  readonly bus: Pick<ClusterBus, "notify">;
  readonly clock: Clock;
  readonly isUp: () => boolean;
  readonly onFault: (error: unknown) => void;
}): { start(): void; stop(): void } {
  const { step, bus, clock, isUp, onFault } = options;
  let stopTimer: (() => void) | null = null;
  let isStepping = false;

  return {
    start() {
      stopTimer ??= clock.every(stepIntervalMs, () => void tick());
    },
    stop() {
      stopTimer?.();
      stopTimer = null;
    },
  };

  async function tick(): Promise<void> {
    if (isStepping || !isUp()) return;
    isStepping = true;
    try {
      for (const lapse of await step()) tell(lapse);
    } catch (error) {
      onFault(error);
    } finally {
      isStepping = false;
    }
  }

  function tell({ node, connection, sid, generation, account, tag }: Lapse): void {
    const seat = { node, connection };
    const atMs = clock.now();
    bus.notify({ kind: "lapsed", account, tag, sid, generation, seat, reason: "", atMs });
  }
}
