/** Figures of many measurements, and how they are told. */

/** NaN of nothing. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** "p50 1.2, p99 8.4 of 5,000". */
export function spread(values: readonly number[]): string {
  const told = (share: number) => {
    const value = quantile(values, share);
    return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2);
  };
  return `p50 ${told(0.5)}, p99 ${told(0.99)} of ${values.length.toLocaleString("en")}`;
}
