/**
 * The body of our own heartbeats and pings, written by hand: one for each connection every 30 s is
 * too often for a general encoder. [§7.2] [D16] [D32]
 */

const timestampKey = 0x08; // field 1, varint
const idKey = 0x10; // field 2, varint

/** Negative numbers take all of the 64 bits, 7 at a time. */
const varintBytesMax = 10;

const scratch = new Uint8Array(2 * (1 + varintBytesMax));

/**
 * `id` is null or a request id. The field has a sign, so an id above 2^31 - 1 is written as the
 * negative number with the same 32 bits. Throws RangeError if a number is not a safe integer.
 */
export function encodeHeartbeat(timestampMs: number, id: number | null = null): Uint8Array {
  let length = 0;
  // Zero is the default and is not written; an id has explicit presence, and is.
  if (timestampMs !== 0) length = writeField(0, timestampKey, timestampMs);
  if (id !== null) length = writeField(length, idKey, toInt32(id));
  return scratch.slice(0, length);
}

/** Returns where the next field starts. */
function writeField(start: number, key: number, value: number): number {
  if (!Number.isSafeInteger(value)) {
    throw new RangeError(`Cannot encode heartbeat with ${value}: it is not a safe integer`);
  }
  scratch[start] = key;
  return value < 0 ? writeNegative(start + 1, value) : writePositive(start + 1, value);
}

function writePositive(start: number, value: number): number {
  let at = start;
  let rest = value;
  // Shifts know 32 bits only, and a timestamp has 41.
  while (rest > 0x7fffffff) {
    scratch[at] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
    at += 1;
  }
  while (rest > 0x7f) {
    scratch[at] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
    at += 1;
  }
  scratch[at] = rest;
  return at + 1;
}

/** Two's complement in 64 bits. */
function writeNegative(start: number, value: number): number {
  let rest = BigInt.asUintN(64, BigInt(value));
  for (let at = start; at < start + varintBytesMax; at += 1) {
    const isLast = at === start + varintBytesMax - 1;
    scratch[at] = Number(rest & 0x7fn) | (isLast ? 0 : 0x80);
    rest >>= 7n;
  }
  return start + varintBytesMax;
}

function toInt32(id: number): number {
  // What is no 32 bit number stays as it is, and is refused or kept as a negative one.
  return id > 0x7fffffff && id <= 0xffffffff ? id - 0x100000000 : id;
}
