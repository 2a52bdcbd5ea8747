/** Numbers that look random and are the same for the same seed, on every machine. */

export interface Random {
  /** At least 0, below 1. */
  uniform(): number;
  /** Of the normal distribution: mean 0, deviation 1. */
  normal(): number;
}

/** The generator is mulberry32: 32 bits of state, good enough for a walk that nobody bets on. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;

  return { uniform, normal };

  function uniform(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  function normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - uniform())); // Box and Muller; never the log of 0
    return radius * Math.cos(2 * Math.PI * uniform());
  }
}
