/** So many a second, whoever is slow: what each took, by its own clock. */

export interface Paced {
  /** Milliseconds: median, and what one of a hundred exceeds. */
  readonly p50: number;
  readonly p99: number;
  /** What was sent a second; less than asked for when nobody was free. */
  readonly rate: number;
}

export async function pace(options: {
  readonly rate: number;
  readonly ms: number;
  /** Null: nobody is free. */
  readonly send: () => Promise<void> | null;
}): Promise<Paced> {
  const { rate, ms, send } = options;
  const took: number[] = [];
  const waiting = new Set<Promise<void>>();
  const startedMs = performance.now();
  let sent = 0;
  while (performance.now() - startedMs < ms) {
    const due = Math.floor(((performance.now() - startedMs) * rate) / 1000);
    for (; sent < due; sent++) {
      const atMs = performance.now();
      const answer = send();
      if (answer === null) break;
      const one = answer.then(() => {
        took.push(performance.now() - atMs);
        waiting.delete(one);
      });
      waiting.add(one);
    }
    await Bun.sleep(1); // less than that spins, and starves whoever shares the core
  }
  const seconds = (performance.now() - startedMs) / 1000;
  await Promise.all(waiting);
  const sorted = took.toSorted((left, right) => left - right);
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), rate: took.length / seconds };
}
