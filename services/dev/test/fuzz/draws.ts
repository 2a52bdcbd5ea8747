/** Numbers at random that a seed brings back: xorshift32, quick enough for millions of packets. */

export interface Draws {
  /** From 0 up to, and without, `below`. */
  below(below: number): number;
  isOne(inHowMany: number): boolean;
  /** The state, from which the same draws follow. */
  reseed(seed: number): void;
}

export function createDraws(seed: number): Draws {
  let state = 1;
  const draws = { below, isOne: (inHowMany: number) => below(inHowMany) === 0, reseed };
  reseed(seed);
  return draws;

  function reseed(given: number): void {
    // Neighbouring seeds shall not begin alike, and zero would stay zero for ever.
    state = Math.imul(given ^ (given >>> 16), 0x45d9f3b) | 0;
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) | 0;
    if (state === 0) state = 0x1234567;
  }

  function below(limit: number): number {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  }
}

/** The seed of a run, printed so that FUZZ_SEED can replay it. */
export function fuzzSeed(what: string): number {
  const given = Number(process.env["FUZZ_SEED"]);
  const seed = given > 0 ? given : Math.floor(Math.random() * 0x7fffffff) + 1;
  process.stderr.write(`FUZZ_SEED=${seed} (${what})\n`);
  return seed;
}
