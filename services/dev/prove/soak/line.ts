/** A line through samples over time: what a leak looks like, once the warm-up is left out. */

export interface Point {
  readonly atMs: number;
  readonly value: number;
}

export interface Line {
  /** Per hour, by least squares; NaN of less than two points. */
  readonly perHour: number;
  /** Half of the interval around `perHour` that holds the truth in 95 of 100 runs. */
  readonly uncertainty: number;
  /** What the line gained from the first point to the last. */
  readonly gained: number;
  readonly first: number;
  readonly last: number;
}

const hourMs = 3_600_000;

/** Without the first `part` of the time, from 0 up to 1. */
export function withoutWarmUp(points: readonly Point[], part: number): readonly Point[] {
  const [start, end] = [points[0]?.atMs ?? 0, points.at(-1)?.atMs ?? 0];
  return points.filter(({ atMs }) => atMs >= start + part * (end - start));
}

/**
 * The lowest of each window of so many points. Memory of an engine that collects garbage is a saw:
 * what it comes down to is what is kept.
 */
export function troughs(points: readonly Point[], window: number): readonly Point[] {
  const lowest: Point[] = [];
  for (let at = 0; at + window <= points.length; at += window) {
    const some = points.slice(at, at + window);
    lowest.push(some.reduce((low, point) => (point.value < low.value ? point : low)));
  }
  return lowest;
}

export function lineThrough(points: readonly Point[]): Line {
  const count = points.length;
  const mean = (read: (point: Point) => number) =>
    points.reduce((sum, point) => sum + read(point), 0) / count;
  const [meanMs, meanValue] = [mean(({ atMs }) => atMs), mean(({ value }) => value)];
  let covariance = 0;
  let variance = 0;
  for (const { atMs, value } of points) {
    covariance += (atMs - meanMs) * (value - meanValue);
    variance += (atMs - meanMs) ** 2;
  }
  const perMs = covariance / variance;
  const [first, last] = [points[0]?.atMs ?? 0, points.at(-1)?.atMs ?? 0];
  const at = (ms: number) => meanValue + perMs * (ms - meanMs);
  const strays = points.map(({ atMs, value }) => value - at(atMs));
  return {
    perHour: perMs * hourMs,
    uncertainty: errorOf(strays, variance) * hourMs,
    gained: perMs * (last - first),
    first: at(first),
    last: at(last),
  };
}

/** Points that stray as their neighbours do count for less than so many of their own. */
function errorOf(strays: readonly number[], variance: number): number {
  const sum = strays.reduce((all, stray) => all + stray ** 2, 0);
  if (strays.length < 3) return Number.POSITIVE_INFINITY;
  if (sum === 0) return 0;
  const before = (index: number) => strays[index - 1] ?? 0;
  const shared = strays.reduce((all, stray, index) => all + stray * before(index), 0);
  const likeness = Math.max(0, shared / sum);
  const worth = (1 - likeness) / (1 + likeness);
  const free = strays.length * worth - 2;
  if (free <= 1) return Number.POSITIVE_INFINITY;
  return studentOf(free) * Math.sqrt(sum / free / (variance * worth));
}

/** Of 95 %, on both sides, by the first terms of its expansion around the normal one. */
function studentOf(free: number): number {
  return 1.96 + 2.372 / free + 2.823 / free ** 2;
}
