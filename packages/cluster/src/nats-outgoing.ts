/**
 * What one turn of the event loop has to say to NATS, put together in one buffer, which is used
 * again for the next turn. A buffer that the socket has not emptied is the socket's: it is written
 * from there later, so that another takes its place here.
 */

export interface Outgoing {
  /** Written into from `length` on, after `makeRoom`; then `grow` says how far. */
  readonly bytes: Uint8Array;
  readonly length: number;
  /** Behind all that is here. */
  add(frame: Uint8Array): void;
  /** For at most as much as the buffer holds. */
  makeRoom(count: number): void;
  /** What is there up to `end` leaves with this turn. */
  grow(end: number): void;
  flush(): void;
}

const bytesMax = 64 * 1024;
/** A larger frame is written as it is. */
const copiedBytesMax = bytesMax / 4;

/** `write` says whether the bytes may be used again: nobody needs them any more. */
export function createOutgoing(write: (frame: Uint8Array) => boolean): Outgoing {
  let bytes = createBuffer();
  let length = 0;
  let isScheduled = false;

  return {
    get bytes() {
      return bytes;
    },
    get length() {
      return length;
    },
    add,
    makeRoom,
    grow,
    flush,
  };

  function add(frame: Uint8Array): void {
    if (frame.length > copiedBytesMax) {
      flush();
      write(frame);
      return;
    }
    makeRoom(frame.length);
    bytes.set(frame, length);
    grow(length + frame.length);
  }

  function makeRoom(count: number): void {
    if (length + count > bytes.length) flush();
  }

  function grow(end: number): void {
    length = end;
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(endTurn);
  }

  function endTurn(): void {
    isScheduled = false;
    flush();
  }

  function flush(): void {
    if (length === 0) return;
    const isFree = write(bytes.subarray(0, length));
    length = 0;
    if (!isFree) bytes = createBuffer();
  }
}

/** Memory of its own, and of no pool: the socket may keep it. */
function createBuffer(): Uint8Array {
  return Buffer.allocUnsafeSlow(bytesMax);
}
