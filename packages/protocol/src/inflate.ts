/**
 * DEFLATE, RFC 1951, the decompressing half, for browsers: their own DecompressionStream is
 * asynchronous, and a body that inflates later than the packets behind it would cost every client a
 * queue. As strict as zlib, and never more than `bytesMax` come out. The servers use zlib itself.
 */

/** Bytes that are not DEFLATE, or end too early. */
export class InflateError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "InflateError";
  }
}

/** More would come out than is allowed. */
export class InflateLimitError extends Error {
  constructor(bytesMax: number) {
    super(`Cannot inflate: more than ${bytesMax} bytes come out`);
    this.name = "InflateLimitError";
  }
}

/** `table[bits]` is symbol * 16 + its length in bits; 0 is no code. The first bit is the lowest. */
interface Code {
  readonly table: Uint16Array;
  readonly bits: number;
}

interface Input {
  readonly bytes: Uint8Array;
  at: number;
  /** Bits that were taken from `bytes` and not used; the next one is the lowest. */
  held: number;
  count: number;
}

interface Output {
  bytes: Uint8Array;
  length: number;
  readonly bytesMax: number;
}

const codeBitsMax = 15;
const lengthOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15] as const;
// 258, the longest, breaks the row: it has a symbol of its own. [RFC 1951, 3.2.5]
const lengthExtras = [...extras(8, 4, 5), 0];
const lengthBases = [...bases(3, lengthExtras.slice(0, -1)), 258];
const distanceExtras = extras(4, 2, 13);
const distanceBases = bases(1, distanceExtras);
let fixed: { readonly literals: Code; readonly distances: Code } | null = null;

/** All blocks from `start` on. `end` is behind the last byte that belongs to them. */
export function inflate(
  bytes: Uint8Array,
  start: number,
  bytesMax: number,
): { readonly inflated: Uint8Array; readonly end: number } {
  const input: Input = { bytes, at: start, held: 0, count: 0 };
  const room = Math.min(bytesMax, Math.max(64, 4 * (bytes.length - start)));
  const output: Output = { bytes: new Uint8Array(room), length: 0, bytesMax };
  let isLast = false;
  while (!isLast) {
    isLast = take(input, 1) === 1;
    const kind = take(input, 2);
    if (kind === 0) copyStored(input, output);
    else if (kind === 3) throw new InflateError("a block is of no known kind");
    else {
      const { literals, distances } = kind === 1 ? fixedCodes() : readCodes(input);
      inflateBlock(input, output, literals, distances);
    }
  }
  // Bits are taken a byte at a time: less than a byte is left over.
  return { inflated: output.bytes.subarray(0, output.length), end: input.at };
}

function take(input: Input, count: number): number {
  while (input.count < count) fill(input);
  const value = input.held & ((1 << count) - 1);
  input.held >>>= count;
  input.count -= count;
  return value;
}

function fill(input: Input): void {
  const byte = input.bytes[input.at];
  if (byte === undefined) throw new InflateError("unexpected end");
  input.at += 1;
  input.held |= byte << input.count; // at most 14 bits were held
  input.count += 8;
}

function decode(input: Input, code: Code): number {
  for (;;) {
    // Undefined only where the table is empty.
    const entry = code.table[input.held & ((1 << code.bits) - 1)] ?? 0;
    const length = entry & 15;
    if (length !== 0 && length <= input.count) {
      input.held >>>= length;
      input.count -= length;
      return entry >>> 4;
    }
    if (input.count >= code.bits) throw new InflateError("a code stands for nothing");
    fill(input);
  }
}

function copyStored(input: Input, output: Output): void {
  input.held = 0; // the rest of its byte
  input.count = 0;
  const length = take(input, 8) | (take(input, 8) << 8);
  const inverse = take(input, 8) | (take(input, 8) << 8);
  if ((length ^ inverse) !== 0xffff) throw new InflateError("a stored length is not what it says");
  if (input.at + length > input.bytes.length) throw new InflateError("unexpected end");
  const to = grow(output, length);
  output.bytes.set(input.bytes.subarray(input.at, input.at + length), to);
  input.at += length;
}

function inflateBlock(input: Input, output: Output, literals: Code, distances: Code): void {
  for (;;) {
    const symbol = decode(input, literals);
    if (symbol === 256) return;
    if (symbol < 256) {
      const at = grow(output, 1);
      output.bytes[at] = symbol;
      continue;
    }
    const base = lengthBases[symbol - 257];
    if (base === undefined) throw new InflateError("a length stands for nothing");
    const length = base + take(input, lengthExtras[symbol - 257] ?? 0);
    copyBack(output, length, readDistance(input, distances));
  }
}

function readDistance(input: Input, distances: Code): number {
  const symbol = decode(input, distances);
  const base = distanceBases[symbol];
  if (base === undefined) throw new InflateError("a distance stands for nothing");
  return base + take(input, distanceExtras[symbol] ?? 0);
}

/** What is copied may overlap what it is copied to: byte by byte, as it is meant. */
function copyBack(output: Output, length: number, distance: number): void {
  if (distance > output.length) throw new InflateError("a distance goes back too far");
  const at = grow(output, length);
  const { bytes } = output;
  if (distance >= length) bytes.copyWithin(at, at - distance, at - distance + length);
  else for (let i = at; i < at + length; i += 1) bytes[i] = bytes[i - distance] ?? 0; // in bounds
}

/** Where the next `length` bytes go. */
function grow(output: Output, length: number): number {
  const at = output.length;
  const needed = at + length;
  if (needed > output.bytesMax) throw new InflateLimitError(output.bytesMax);
  if (needed > output.bytes.length) {
    const larger = new Uint8Array(Math.min(output.bytesMax, Math.max(needed, 2 * at)));
    larger.set(output.bytes.subarray(0, at));
    output.bytes = larger;
  }
  output.length = needed;
  return at;
}

/** The two codes that a block brings along, themselves in a code. [RFC 1951, 3.2.7] */
function readCodes(input: Input): { readonly literals: Code; readonly distances: Code } {
  const literalCount = take(input, 5) + 257;
  const distanceCount = take(input, 5) + 1;
  const lengthCount = take(input, 4) + 4;
  if (literalCount > 286 || distanceCount > 30) throw new InflateError("too many symbols");
  const own = new Uint8Array(19);
  for (const symbol of lengthOrder.slice(0, lengthCount)) own[symbol] = take(input, 3);
  const lengths = readLengths(input, createCode(own, true), literalCount + distanceCount);
  if (lengths[256] === 0) throw new InflateError("a block has no end");
  return {
    literals: createCode(lengths.subarray(0, literalCount), false),
    distances: createCode(lengths.subarray(literalCount), false),
  };
}

function readLengths(input: Input, code: Code, count: number): Uint8Array {
  const lengths = new Uint8Array(count);
  for (let at = 0; at < count; ) {
    const symbol = decode(input, code);
    if (symbol < 16) {
      lengths[at] = symbol;
      at += 1;
      continue;
    }
    if (symbol === 16 && at === 0) throw new InflateError("nothing is there to be repeated");
    const length = symbol === 16 ? (lengths[at - 1] ?? 0) : 0;
    const times =
      symbol === 16 ? 3 + take(input, 2) : symbol === 17 ? 3 + take(input, 3) : 11 + take(input, 7);
    if (at + times > count) throw new InflateError("too many lengths");
    lengths.fill(length, at, at + times);
    at += times;
  }
  return lengths;
}

/**
 * As zlib does, it refuses lengths that promise more codes than there are, and fewer, too, unless
 * the only code has one bit, or there is none, and the code is never used.
 */
function createCode(lengths: Uint8Array, mustBeWhole: boolean): Code {
  const counts = new Uint16Array(codeBitsMax + 1);
  let bits = 0;
  for (const length of lengths) {
    if (length === 0) continue;
    counts[length] = (counts[length] ?? 0) + 1;
    bits = Math.max(bits, length);
  }
  let left = 1;
  const starts: number[] = [];
  let start = 0;
  for (let length = 1; length <= codeBitsMax; length += 1) {
    const count = counts[length] ?? 0;
    left = 2 * left - count;
    if (left < 0) throw new InflateError("a code has too many symbols");
    starts[length] = start;
    start = (start + count) << 1;
  }
  if (left > 0 && (mustBeWhole || bits > 1)) throw new InflateError("a code is incomplete");
  return { table: createTable(lengths, starts, bits), bits };
}

function createTable(lengths: Uint8Array, starts: number[], bits: number): Uint16Array {
  const table = new Uint16Array(1 << bits);
  lengths.forEach((length, symbol) => {
    if (length === 0) return;
    const code = starts[length] ?? 0;
    starts[length] = code + 1;
    for (let at = reverse(code, length); at < table.length; at += 1 << length) {
      table[at] = (symbol << 4) | length;
    }
  });
  return table;
}

/** Codes come with their first bit first, everything else with its lowest. */
function reverse(code: number, length: number): number {
  let reversed = 0;
  for (let bit = 0; bit < length; bit += 1) reversed |= ((code >>> bit) & 1) << (length - 1 - bit);
  return reversed;
}

function fixedCodes(): { readonly literals: Code; readonly distances: Code } {
  if (fixed !== null) return fixed;
  const literals = new Uint8Array(288).fill(8).fill(9, 144, 256).fill(7, 256, 280);
  fixed = {
    literals: createCode(literals, true),
    distances: createCode(new Uint8Array(32).fill(5), true),
  };
  return fixed;
}

/** `first` times none, then `each` times 1, `each` times 2, up to `most`. */
function extras(first: number, each: number, most: number): number[] {
  const counts = new Array<number>(first).fill(0);
  for (let bits = 1; bits <= most; bits += 1) counts.push(...new Array<number>(each).fill(bits));
  return counts;
}

/** Each begins where the one before it ends. */
function bases(first: number, bits: readonly number[]): number[] {
  let next = first;
  return bits.map((count) => {
    const base = next;
    next += 1 << count;
    return base;
  });
}
