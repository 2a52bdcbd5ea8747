/** Randomness that a seed replays. */

/** Numbers from 0 up to 1, the same for the same seed. */
export function createDraw(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A seed for each stream of a run, so that one does not disturb the other. */
export function seedOf(seed: number, stream: string): number {
  return (seed + Number(Bun.hash.crc32(stream))) >>> 0;
}
