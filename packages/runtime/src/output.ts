/**
 * Lines to a file descriptor in the background: nobody waits for a slow reader, what waits is
 * bounded, and a full disk or a closed pipe costs lines, never the process.
 */
import { write as writeFile } from "node:fs";

export interface Output {
  /** One whole line, with its end. Dropped when too much waits already. */
  write(line: string): void;
  /** Resolves when all is written or given up, and in any case within `withinMs`. */
  flush(withinMs: number): Promise<void>;
  /** Lines dropped so far, for want of room or because a write failed. */
  readonly lost: number;
}

export type WriteBytes = (
  bytes: Uint8Array,
  done: (error: NodeJS.ErrnoException | null, taken: number) => void,
) => void;

const retryDelayMs = 50;

export function createOutput(options: {
  readonly waitingBytesMax: number;
  readonly write: WriteBytes;
}): Output {
  let waiting: string[] = [];
  let waitingBytes = 0; // of the lines in `waiting`; what is being written is not among them
  let isWriting = false;
  let lost = 0;
  let whenIdle: (() => void)[] = [];

  return {
    write,
    flush,
    get lost() {
      return lost;
    },
  };

  function write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (waitingBytes + bytes > options.waitingBytesMax) {
      lost += 1;
      return;
    }
    waiting.push(line);
    waitingBytes += bytes;
    if (!isWriting) writeWaiting();
  }

  function writeWaiting(): void {
    const lines = waiting;
    isWriting = lines.length > 0;
    if (!isWriting) {
      for (const idle of whenIdle.splice(0)) idle();
      return;
    }
    waiting = [];
    waitingBytes = 0;
    writeAll(Buffer.from(lines.join("")), lines.length);
  }

  function writeAll(bytes: Uint8Array, lines: number): void {
    options.write(bytes, (error, taken) => {
      if (error?.code === "EAGAIN" || error?.code === "EBUSY") {
        setTimeout(() => writeAll(bytes, lines), retryDelayMs);
      } else if (error !== null) {
        lost += lines;
        writeWaiting();
      } else if (taken < bytes.length) {
        writeAll(bytes.subarray(taken), lines);
      } else {
        writeWaiting();
      }
    });
  }

  function flush(withinMs: number): Promise<void> {
    if (!isWriting) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, withinMs);
    whenIdle = [...whenIdle, resolve];
    return promise.finally(() => clearTimeout(timer));
  }
}

export function toDescriptor(descriptor: number): WriteBytes {
  return (bytes, done) => writeFile(descriptor, bytes, 0, bytes.length, null, done);
}
