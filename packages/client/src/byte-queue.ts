/**
 * Bytes that have arrived and are not yet read: chunks in, exact lengths out.
 * A chunk is copied at most once, so a large payload in small pieces stays linear.
 */
export interface ByteQueue {
  push(chunk: Uint8Array): void;
  /** The first `count` bytes, left in place; null while fewer are here. */
  peek(count: number): Uint8Array | null;
  /** The first `count` bytes, taken out; null while fewer are here. */
  take(count: number): Uint8Array | null;
  readonly length: number;
}

/**
 * The same bytes without the methods of Buffer, some of which share memory where Uint8Array copies.
 */
export function toPlainBytes(chunk: Uint8Array): Uint8Array {
  return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
}

export function createByteQueue(): ByteQueue {
  let chunks: Uint8Array[] = []; // never holds an empty array
  let length = 0; // the sum of the lengths in chunks

  return {
    push,
    peek: (count) => (count > length ? null : join(count).subarray(0, count)),
    take,
    get length() {
      return length;
    },
  };

  function push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    chunks.push(toPlainBytes(chunk));
    length += chunk.length;
  }

  function take(count: number): Uint8Array | null {
    if (count > length) return null;
    const first = join(count);
    const taken = first.subarray(0, count);
    if (count === first.length) chunks.shift();
    else chunks[0] = first.subarray(count);
    length -= count;
    return taken;
  }

  /** Makes the first chunk hold at least `count` bytes, which MUST be here. */
  function join(count: number): Uint8Array {
    const first = chunks[0] ?? new Uint8Array(0);
    if (first.length >= count) return first;
    const joined = new Uint8Array(length);
    let offset = 0;
    for (const chunk of chunks) {
      joined.set(chunk, offset);
      offset += chunk.length;
    }
    chunks = [joined];
    return joined;
  }
}
