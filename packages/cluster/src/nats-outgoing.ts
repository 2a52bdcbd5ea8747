/**
 * What one turn of the event loop has to say to NATS, put together on one sheet, which is used
 * again when it has been written. What the socket does not take at once is written from the sheet
 * later, so until then another takes its place; when there is none, a copy of what is on it is
 * written, which is as long as it has to be: a server may stand still for many turns.
 */

export interface Outgoing {
  /** Written into from `length` on, after `makeRoom`; then `grow` says how far. */
  readonly bytes: Uint8Array;
  readonly length: number;
  /** Behind all that is here. */
  add(frame: Uint8Array): void;
  /** For at most as much as a sheet holds. */
  makeRoom(count: number): void;
  /** What is there up to `end` leaves with this turn. */
  grow(end: number): void;
  flush(): void;
}

interface Sheet {
  readonly bytes: Uint8Array;
  /** Nobody needs its bytes any more. Made once, as a function for each turn would be garbage. */
  readonly written: () => void;
}

const bytesMax = 64 * 1024;
/** A larger frame is written as it is. */
const copiedBytesMax = bytesMax / 4;
const sheetsMax = 4;

/** `write` calls back when it no longer needs the bytes. */
export function createOutgoing(write: (frame: Uint8Array, written: () => void) => void): Outgoing {
  const spares: Sheet[] = [];
  let sheetCount = 0;
  let sheet = createSheet();
  let length = 0;
  let isScheduled = false;

  return {
    get bytes() {
      return sheet.bytes;
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
      write(frame, nothing);
      return;
    }
    makeRoom(frame.length);
    sheet.bytes.set(frame, length);
    grow(length + frame.length);
  }

  function makeRoom(count: number): void {
    if (length + count > bytesMax) flush();
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
    const { bytes, written } = sheet;
    const count = length;
    length = 0;
    const next = spares.pop() ?? (sheetCount < sheetsMax ? createSheet() : null);
    if (next === null) {
      write(Uint8Array.prototype.slice.call(bytes, 0, count), nothing);
      return;
    }
    sheet = next;
    write(bytes.subarray(0, count), written);
  }

  function createSheet(): Sheet {
    const made: Sheet = {
      bytes: Buffer.allocUnsafeSlow(bytesMax), // memory of its own
      written: () => void spares.push(made),
    };
    sheetCount++;
    return made;
  }
}

function nothing(): void {}
