/** The time to the node and back, measured with a heartbeat each second, as a number and a line. */

import { median, millisecondsText } from "../src/format.ts";
import { sparklinePath } from "../src/sparkline.ts";
import { element, write } from "./element.ts";

export interface Latency {
  /** One measurement at a time; a failed one is no measurement. */
  measure(heartbeat: () => Promise<number>): Promise<void>;
  clear(): void;
}

const samplesMax = 20;
const box = { width: 72, height: 20, margin: 2, slots: samplesMax, floor: 0 };

export function createLatency(): Latency {
  const path = element<SVGElement>("latency-line").firstElementChild;
  let samples: number[] = [];
  let isMeasuring = false;

  return {
    async measure(heartbeat) {
      if (isMeasuring) return;
      isMeasuring = true;
      try {
        samples = [...samples, await heartbeat()].slice(-samplesMax);
        show();
      } catch {
        // The connection has gone meanwhile, which is told elsewhere.
      } finally {
        isMeasuring = false;
      }
    },
    clear() {
      samples = [];
      show();
    },
  };

  function show(): void {
    const last = samples.at(-1);
    const middle = median(samples);
    write(element("latency"), last === undefined ? "– ms" : millisecondsText(last));
    write(element("fact-median"), middle === null ? "–" : millisecondsText(middle));
    path?.setAttribute("d", sparklinePath(samples, box));
  }
}
