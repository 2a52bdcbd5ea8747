/**
 * Valid packets, spoiled by somebody who knows how they are laid out: headers and lengths that lie,
 * flags that say what is not there, gzip with one bit turned, packets cut, joined and repeated.
 */
import type { Version } from "@holdfast/protocol";
import type { Sample } from "../attack.ts";
import type { Draws } from "./draws.ts";

export interface Mutator {
  /** Writes one mutant at the place, which has room for `mutantBytesMax`; returns its length. */
  write(target: Uint8Array, at: number, version: Version): number;
  /** One mutant on its own. */
  mutant(version: Version): Uint8Array;
}

export const mutantBytesMax = 8192;

const telling = [0, 1, 2, 0x0f, 0x10, 0x20, 0x7f, 0x80, 0x81, 0xfe, 0xff] as const;
const lengths = [0, 1, 63, 64, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x10000, 0xffffff];

/** What is being spoiled: where it lies, and how long it is by now. */
interface Work {
  readonly bytes: Uint8Array;
  readonly at: number;
  length: number;
  readonly version: Version;
}

type Operation = (work: Work) => void;

export function createMutator(seeds: readonly Sample[], draws: Draws): Mutator {
  const small = seeds.filter(({ bytes }) => bytes.length > 0 && bytes.length <= mutantBytesMax / 2);
  const pools = { 1: small.filter(isVersion(1)), 2: small.filter(isVersion(2)) } as const;
  const scratch = new Uint8Array(mutantBytesMax);
  const operations = operationsOf(draws, (version) => pick(version));

  return {
    write,
    mutant(version) {
      return scratch.slice(0, write(scratch, 0, version));
    },
  };

  function write(target: Uint8Array, at: number, version: Version): number {
    const { bytes } = pick(version);
    target.set(bytes, at);
    const work: Work = { bytes: target, at, length: bytes.length, version };
    // A quarter stays as it was, so that what comes behind is read in step.
    const times = draws.isOne(4) ? 0 : 1 + draws.below(3);
    for (let count = 0; count < times; count++) {
      operations[draws.below(operations.length)]!(work); // in bounds
    }
    return work.length;
  }

  function pick(version: Version): Sample {
    // A packet of the other version, now and then.
    const pool = draws.isOne(50) ? small : pools[version];
    return pool[draws.below(pool.length)]!; // in bounds
  }
}

function isVersion(version: Version) {
  return (sample: Sample): boolean => sample.version === version;
}

/** Where the three bytes of the body's length are; null where there is no header. */
function lengthAt({ bytes, at, length, version }: Work): number | null {
  const type = (bytes[at] ?? 0) & 0x0f;
  const size = (type === 1 ? 11 : type === 2 ? 10 : 5) + (version === 2 ? 2 : 0);
  return length < size ? null : at + size - 3;
}

function writeNumber(bytes: Uint8Array, at: number, count: number, value: number): void {
  for (let index = 0; index < count; index++) {
    bytes[at + index] = value >>> (8 * (count - 1 - index));
  }
}

function operationsOf(draws: Draws, pick: (version: Version) => Sample): readonly Operation[] {
  const place = (work: Work) => work.at + draws.below(Math.max(1, work.length));
  /** Most of what can go wrong is in the first bytes. */
  const early = (work: Work) => work.at + draws.below(Math.max(1, Math.min(16, work.length)));
  const byte = () => telling[draws.below(telling.length)]!; // in bounds
  const ops = { flipBit, flipEarly, setByte, setType, setFlags, lieLength, nudgeLength };
  const more = { lieMetadata, spoilMetadata, cut, add, splice, repeat, remove, swap, spoilGzip };
  return [...Object.values(ops), ...Object.values(more)];

  function flipBit(work: Work): void {
    work.bytes[place(work)]! ^= 1 << draws.below(8); // in bounds, as are all below
  }
  function flipEarly(work: Work): void {
    work.bytes[early(work)]! ^= 1 << draws.below(8);
  }
  function setByte(work: Work): void {
    work.bytes[place(work)] = byte();
  }
  function setType(work: Work): void {
    work.bytes[work.at] = (work.bytes[work.at]! & 0xf0) | draws.below(16);
  }
  /** Verify, gzip and the two that are kept for later. */
  function setFlags(work: Work): void {
    work.bytes[work.at]! ^= (1 + draws.below(15)) << 4;
  }
  function lieLength(work: Work): void {
    const at = lengthAt(work);
    if (at !== null) writeNumber(work.bytes, at, 3, lengths[draws.below(lengths.length)]!);
  }
  function nudgeLength(work: Work): void {
    const at = lengthAt(work);
    if (at === null) return;
    const said = (work.bytes[at]! << 16) | (work.bytes[at + 1]! << 8) | work.bytes[at + 2]!;
    writeNumber(work.bytes, at, 3, said + draws.below(9) - 4);
  }
  function lieMetadata(work: Work): void {
    const at = lengthAt(work);
    if (at === null || work.version === 1) return;
    const lie = draws.isOne(2) ? draws.below(64) : lengths[draws.below(lengths.length)]!;
    writeNumber(work.bytes, at - 2, 2, lie);
  }
  /** The lengths of the first strings, most likely. */
  function spoilMetadata(work: Work): void {
    const at = lengthAt(work);
    if (at === null || work.version === 1) return;
    const end = work.at + work.length;
    const target = at + 3 + draws.below(24);
    if (target < end) work.bytes[target] = byte();
  }
  function cut(work: Work): void {
    work.length = draws.below(work.length + 1);
  }
  function add(work: Work): void {
    const count = Math.min(1 + draws.below(40), mutantBytesMax - work.length);
    for (let index = 0; index < count; index++) {
      work.bytes[work.at + work.length + index] = draws.below(256);
    }
    work.length += count;
  }
  /** The beginning of one, and the end of another. */
  function splice(work: Work): void {
    const { bytes } = pick(work.version);
    const from = draws.below(bytes.length);
    const at = draws.below(work.length + 1);
    const count = Math.min(bytes.length - from, mutantBytesMax - at);
    work.bytes.set(bytes.subarray(from, from + count), work.at + at);
    work.length = at + count;
  }
  /** A field, or several, twice. */
  function repeat(work: Work): void {
    const from = draws.below(work.length + 1);
    const count = Math.min(
      1 + draws.below(Math.max(1, work.length - from)),
      work.length - from,
      mutantBytesMax - work.length,
    );
    const start = work.at + from;
    work.bytes.copyWithin(start + count, start, work.at + work.length);
    work.length += count;
  }
  function remove(work: Work): void {
    const from = draws.below(work.length + 1);
    const count = Math.min(1 + draws.below(24), work.length - from);
    const start = work.at + from;
    work.bytes.copyWithin(start, start + count, work.at + work.length);
    work.length -= count;
  }
  function swap(work: Work): void {
    const [one, other] = [place(work), place(work)];
    const kept = work.bytes[one]!;
    work.bytes[one] = work.bytes[other]!;
    work.bytes[other] = kept;
  }
  /** A bit of its header, or of the checksum and the size at its end. */
  function spoilGzip(work: Work): void {
    const at = lengthAt(work);
    if (at === null || (work.bytes[work.at]! & 0x20) === 0) return;
    const target = draws.isOne(2)
      ? at + 3 + draws.below(12)
      : work.at + work.length - 1 - draws.below(9);
    if (target > at && target < work.at + work.length) {
      work.bytes[target]! ^= 1 << draws.below(8);
    }
  }
}
