/**
 * Connections with packets to write at the end of this turn of the event loop: each is flushed
 * once, however much it was sent meanwhile.
 */
export interface Flushable {
  flush(): void;
  abort(): void;
}

/** Returns what puts a connection on the list; it MUST not be on it already. */
export function createTurnFlush(failed: (error: unknown) => void): (one: Flushable) => void {
  let waiting: Flushable[] = [];

  return (one) => {
    waiting.push(one);
    if (waiting.length === 1) queueMicrotask(flushAll);
  };

  function flushAll(): void {
    const all = waiting;
    waiting = [];
    for (const one of all) {
      try {
        one.flush();
      } catch (error) {
        failed(error);
        one.abort();
      }
    }
  }
}
