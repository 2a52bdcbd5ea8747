/** Waiting without sleeping: for the next value of a kind, or until something holds. */

const deadlineMs = 5_000;

export interface Arrivals<T> {
  put(value: T): void;
  next(): Promise<T>;
}

export function createArrivals<T>(what: string): Arrivals<T> {
  const values: T[] = [];
  const asks: ((value: T) => void)[] = [];

  return {
    put(value) {
      const ask = asks.shift();
      if (ask) ask(value);
      else values.push(value);
    },
    next() {
      const value = values.shift();
      if (value !== undefined) return Promise.resolve(value);
      const { promise, resolve } = Promise.withResolvers<T>();
      asks.push(resolve);
      return within(promise, what);
    },
  };
}

export async function within<T>(promise: Promise<T>, what: string, ms = deadlineMs): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`Waited ${ms} ms for ${what}`)), ms);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks in every turn of the event loop until it holds. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  ms = deadlineMs,
): Promise<void> {
  const endMs = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`Waited ${ms} ms until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** False as soon as the value changes within the time. */
export async function staysFor(ms: number, read: () => Promise<number>): Promise<boolean> {
  const first = await read();
  const endMs = performance.now() + ms;
  while (performance.now() < endMs) {
    if ((await read()) !== first) return false;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return true;
}
