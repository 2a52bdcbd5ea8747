/** A client that asks for more than its rate, all the time: how much of it is let through? */
import { Status } from "@holdfast/protocol";
import type { Lab } from "../lab.ts";

export interface Meter {
  /** Requests that passed, in parts of what rate and burst allow in that time. */
  stop(): Promise<number>;
}

const echo = 16;
const everyMs = 5;

export interface MeterOptions {
  readonly url: string;
  readonly account: string;
  readonly rate: number; // requests a second, by the edge's own clock
  readonly burst: number;
  /** The edge's own clock runs so much quicker. */
  readonly pace: number;
}

export async function startMeter(lab: Lab, options: MeterOptions): Promise<Meter> {
  const { url, account, rate, burst, pace } = options;
  const { wire, view } = await lab.enter({ url, account });
  const asking: Promise<void>[] = [];
  const startedMs = performance.now();
  let passed = 0;
  const timer = setInterval(() => asking.push(ask()), everyMs);

  return {
    async stop() {
      clearInterval(timer);
      const tookMs = (performance.now() - startedMs) * pace;
      await Promise.all(asking);
      // A busy machine may have asked for less.
      return passed / Math.min(asking.length, burst + (rate * tookMs) / 1000);
    },
  };

  async function ask(): Promise<void> {
    view.asked++;
    const answer = await wire.request(echo, Uint8Array.of(1)).catch(() => null);
    if (answer === null) return;
    view.answered++;
    if (answer.status === Status.success) passed++;
  }
}
