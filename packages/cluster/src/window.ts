/**
 * How much was written and has not been seen to arrive. A socket to a server that stands still
 * takes bytes for as long as there is memory; this says when it is enough.
 */

export interface Window {
  hasRoom(bytes: number): boolean;
  /** Counts what was written, and asks for a confirmation every now and then. */
  sent(bytes: number): void;
  readonly unconfirmedBytes: number;
}

/** A confirmation covers many small messages, and costs the server six bytes each way. */
const CONFIRM_SHARE = 16;

export function createWindow(options: {
  readonly bytesMax: number;
  /** Resolves when all that was written before has arrived; rejects when it was lost. */
  readonly confirm: () => Promise<void>;
}): Window {
  const { bytesMax, confirm } = options;
  let unconfirmedBytes = 0;
  let isAsking = false;

  return {
    hasRoom: (bytes) => unconfirmedBytes + bytes <= bytesMax,
    sent,
    get unconfirmedBytes() {
      return unconfirmedBytes;
    },
  };

  function sent(bytes: number): void {
    unconfirmedBytes += bytes;
    askIfWorthIt();
  }

  function askIfWorthIt(): void {
    if (isAsking || unconfirmedBytes < bytesMax / CONFIRM_SHARE) return;
    isAsking = true;
    const coveredBytes = unconfirmedBytes;
    void confirm().then(
      () => settle(coveredBytes),
      () => settle(unconfirmedBytes), // the connection was lost, and all that was under way with it
    );
  }

  function settle(bytes: number): void {
    isAsking = false;
    unconfirmedBytes -= bytes;
    askIfWorthIt(); // for what was written since
  }
}
