/** Memory and descriptors of each node over a run: few points, however long it lasts. */
import { readdir } from "node:fs/promises";
import { residentBytes } from "./memory.ts";

export interface Curve {
  readonly node: string;
  /** Between two points. */
  readonly everyMs: number;
  /** A point where there was no process is 0. */
  readonly residentMiB: readonly number[];
  readonly descriptors: readonly number[];
}

export interface CurveWatch {
  stop(): readonly Curve[];
}

/** Beyond, every second point goes and the next ones come half as often. */
const pointsMax = 48;
const firstEveryMs = 500;
const mebibyte = 1024 * 1024;

export interface Watched {
  readonly description: { readonly node: string };
  readonly child: { readonly pid: number; readonly hasExited: () => boolean };
}

export function watchCurves(nodes: readonly Watched[]): CurveWatch {
  let kept = nodes.map(() => ({ residentMiB: [] as number[], descriptors: [] as number[] }));
  let everyMs = firstEveryMs;
  let timer = setTimeout(look, 0);

  return {
    stop() {
      clearTimeout(timer);
      return nodes.map(({ description }, index) => {
        return { node: description.node, everyMs, ...kept[index]! }; // as many as nodes
      });
    },
  };

  async function look(): Promise<void> {
    timer = setTimeout(look, everyMs);
    const points = await Promise.all(nodes.map(pointOf));
    for (const [index, { residentMiB, descriptors }] of points.entries()) {
      kept[index]?.residentMiB.push(residentMiB);
      kept[index]?.descriptors.push(descriptors);
    }
    if ((kept[0]?.residentMiB.length ?? 0) <= pointsMax) return;
    everyMs *= 2;
    kept = kept.map(({ residentMiB, descriptors }) => ({
      residentMiB: residentMiB.filter(isEven),
      descriptors: descriptors.filter(isEven),
    }));
  }
}

function isEven(_: number, index: number): boolean {
  return index % 2 === 0;
}

async function pointOf({ child }: Watched) {
  if (child.hasExited()) return { residentMiB: 0, descriptors: 0 };
  const [bytes, open] = await Promise.all([
    residentBytes(child.pid).catch(() => 0),
    readdir(`/proc/${child.pid}/fd`).catch(() => []),
  ]);
  return { residentMiB: Math.round(bytes / mebibyte), descriptors: open.length };
}
