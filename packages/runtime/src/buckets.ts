/**
 * Observations counted in buckets, as plain numbers: what a histogram is made of. An observation is
 * a short search and two additions, since it may happen for every packet.
 */
export interface Buckets {
  observe(value: number): void;
  /** Rows of the exposition format: cumulative counts by upper bound, then sum and count. */
  rows(name: string, labels: Readonly<Record<string, string>>): readonly BucketRow[];
}

export interface BucketRow {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** `bounds` rise; a value equal to a bound belongs below it. */
export function createBuckets(bounds: readonly number[]): Buckets {
  const counts = new Array<number>(bounds.length + 1).fill(0); // the last: above every bound
  let sum = 0;

  return {
    observe(value) {
      let index = 0;
      while (index < bounds.length && value > bounds[index]!) index++; // index < length
      counts[index]!++; // at most bounds.length, which exists
      sum += value;
    },
    rows(name, labels) {
      let total = 0;
      const rows: BucketRow[] = counts.map((count, index) => {
        total += count;
        const le = bounds[index] ?? "+Inf";
        return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: total };
      });
      rows.push({ metricName: `${name}_sum`, labels, value: sum });
      rows.push({ metricName: `${name}_count`, labels, value: total });
      return rows;
    },
  };
}
