/** A promise that is waited for only so long. */
import type { Clock } from "@holdfast/runtime";

export class DeadlineExceeded extends Error {
  constructor(what: string, withinMs: number) {
    super(`Cannot wait any longer for ${what}: limit is ${withinMs} ms`);
    this.name = "DeadlineExceeded";
  }
}

/** Rejects with DeadlineExceeded; what then still comes of the promise is dropped. */
export async function within<T>(
  limit: { readonly clock: Clock; readonly ms: number; readonly what: string },
  promise: Promise<T>,
): Promise<T> {
  const { promise: deadline, reject } = Promise.withResolvers<never>();
  const callOff = limit.clock.every(limit.ms, () => {
    callOff();
    reject(new DeadlineExceeded(limit.what, limit.ms));
  });
  return Promise.race([promise, deadline]).finally(callOff);
}
