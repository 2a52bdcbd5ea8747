/**
 * Connections with packets to write at the end of this turn of the event loop: each is flushed
 * once, however much it was sent meanwhile.
 */
export interface Flushable {
  flush(): void;
  abort(): void;
}

const keptMax = 1024;

/** Returns what puts a connection on the list; it MUST not be on it already. */
export function createTurnFlush(failed: (error: unknown) => void): (one: Flushable) => void {
  let waiting: Flushable[] = [];
  let spare: Flushable[] = []; // what is flushed may put itself on the list again

  return (one) => {
    waiting.push(one);
    if (waiting.length === 1) queueMicrotask(flushAll);
  };

  function flushAll(): void {
    const all = waiting;
    waiting = spare;
    spare = all;
    for (const one of all) {
      try {
        one.flush();
      } catch (error) {
        failed(error);
        one.abort();
      }
    }
    // One grown by a busy minute goes.
    if (all.length > keptMax) spare = [];
    else all.length = 0;
  }
}

/** Not within what it is doing now. A function of its own, so that a write makes no closure. */
export function abortLater(one: Flushable): void {
  queueMicrotask(() => one.abort());
}
