/**
 * Sockets that have just been accepted. The runtime accepts all that wait on its listeners, which
 * may be thousands, within one turn of the event loop, and reads what they have sent in the same
 * turn: everybody else would wait for all of it. So a turn looks at so many; the others stay paused
 * until a later one, and count as connections from their acceptance on.
 */
export interface Arriving {
  pause(): unknown;
  resume(): unknown;
  terminate(): unknown;
  /** Above 0 while it is open. */
  readonly readyState: number;
}

export interface Arrivals<S> {
  take(socket: S): void;
  /** Ends those that were not looked at yet. */
  stop(): void;
}

/** How many wait, of all transports of a node. */
export interface ArrivalCount {
  count: number;
}

/** With what each of them sends it is about a millisecond, on both ports two. */
export const arrivalsPerTurn = 16;

export function createArrivals<S extends Arriving>(options: {
  readonly waiting: ArrivalCount;
  /** No more may wait: whoever comes is looked at now, and refused. */
  readonly isFull: () => boolean;
  /** MUST NOT throw. */
  readonly look: (socket: S) => void;
}): Arrivals<S> {
  const { waiting: all, isFull, look } = options;
  let waiting: S[] = [];
  let lookedAt = 0; // in this turn
  let isScheduled = false;

  return {
    take(socket) {
      schedule();
      if ((waiting.length === 0 && lookedAt < arrivalsPerTurn) || isFull()) {
        lookedAt++;
        look(socket);
        return;
      }
      socket.pause();
      waiting.push(socket);
      all.count++;
    },
    stop() {
      all.count -= waiting.length;
      for (const socket of waiting.splice(0)) socket.terminate();
    },
  };

  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(turn);
  }

  function turn(): void {
    isScheduled = false;
    const next = waiting.slice(0, arrivalsPerTurn);
    waiting = waiting.slice(arrivalsPerTurn);
    lookedAt = next.length;
    if (next.length > 0) schedule();
    for (const socket of next) {
      all.count--;
      if (socket.readyState > 0) wake(socket); // else it has not waited
    }
  }

  /** A throw here would end the process. [M18] */
  function wake(socket: S): void {
    try {
      socket.resume();
      look(socket);
    } catch {
      socket.terminate();
    }
  }
}
