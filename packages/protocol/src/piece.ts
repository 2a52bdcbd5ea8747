/**
 * Memory in which something is put together that comes bit by bit. What is outgrown or given up
 * goes back at once: left to the garbage collector, a hundred large bodies took four times what
 * they held.
 */

/** Below, the collector is quicker than we are. */
const transferredBytesMin = 16 * 1024;

/** The same bytes with room for more, up to `bytes`. The piece must not be used any more. */
export function enlargePiece(piece: Uint8Array, bytes: number): Uint8Array {
  const buffer = bufferOf(piece);
  if (buffer !== null) return new Uint8Array(buffer.transfer(bytes));
  const larger = new Uint8Array(bytes);
  larger.set(piece);
  return larger;
}

/** Nobody may hold a view of it. */
export function freePiece(piece: Uint8Array): void {
  bufferOf(piece)?.transfer(0);
}

/** Null where it is small, only a part, or where the browser is too old. */
function bufferOf({ buffer, length }: Uint8Array): ArrayBuffer | null {
  if (length < transferredBytesMin || length !== buffer.byteLength) return null;
  return buffer instanceof ArrayBuffer && "transfer" in buffer ? buffer : null;
}
