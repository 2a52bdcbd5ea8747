/** What two edges keep of a soak when everybody has left: looked at before, and after. */
import type { Lab } from "../lab.ts";
import type { Trial } from "../scenario.ts";
import type { Alive, Collector } from "./alive.ts";
import { sampleEdge } from "./samples.ts";

export interface Kept {
  readonly alive: Alive;
  readonly residentBytes: number;
}

const promise = 10;
const [kibibyte, mebibyte] = [1024, 1024 * 1024];
/** Functions that came into use since. */
const objectsMax = mebibyte / 2;
/** Code that was compiled since, and what it leaves between the pages that others use. */
const residentMax = 8 * mebibyte;

/** Of those that live through it all, with nobody there and no garbage. */
export function lookAtKept(lab: Lab, collector: Collector): Promise<readonly Kept[]> {
  const looks = lab.edges.slice(0, 2).map(async (edge, index) => {
    const alive = await collector.collect(edge, index);
    const sample = await sampleEdge(edge);
    return { alive, residentBytes: sample?.get("process_resident_memory_bytes") ?? 0 };
  });
  return Promise.all(looks);
}

export function tellKept(trial: Trial, before: readonly Kept[], after: readonly Kept[]): void {
  for (const [index, { alive, residentBytes }] of after.entries()) {
    const was = before[index]!; // of the same edges
    const edge = `edge ${index + 1}, all gone and collected`;
    const more = ((alive.bytes - was.alive.bytes) / kibibyte).toFixed(0);
    const count = alive.objects - was.alive.objects;
    const kept = {
      ...{ measured: (alive.objectBytes - was.alive.objectBytes) / kibibyte, unit: "KiB" },
      note: `${more} KiB with compiled code, ${count} objects of ${was.alive.objects}`,
    };
    trial.measure({
      promise,
      what: `objects kept by ${edge}`,
      atMost: objectsMax / kibibyte,
      ...kept,
    });
    const resident = {
      ...{ measured: (residentBytes - was.residentBytes) / mebibyte, unit: "MiB" },
      note: `${(was.residentBytes / mebibyte).toFixed(1)} before`,
    };
    const what = `resident memory kept by ${edge}`;
    trial.measure({ promise, what, atMost: residentMax / mebibyte, ...resident });
  }
}
