/** How a broken promise is told. */
export class Broken extends Error {}

export function demand(isKept: unknown, promise: string): asserts isKept {
  if (!isKept) throw new Broken(promise);
}
