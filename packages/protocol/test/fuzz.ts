/**
 * One seed for all properties of a run, so that a failure can be replayed: FUZZ_SEED is the seed,
 * FUZZ_RUNS the number of cases for each property. And the random packets that they draw.
 */

import fc from "fast-check";
import type { Metadata, Packet, Version } from "../src/packet.ts";

const seed = Number(process.env["FUZZ_SEED"] ?? 20_220_601);
const numRuns = Number(process.env["FUZZ_RUNS"] ?? 300);

process.stderr.write(`Properties run with FUZZ_SEED=${seed} FUZZ_RUNS=${numRuns}\n`);

export const fuzz = { seed, numRuns };

/** Sizes that are small, as most are, or around those where something changes. */
const bodySizes = fc.oneof(
  { weight: 8, arbitrary: fc.nat(80) },
  { weight: 2, arbitrary: fc.constantFrom(0, 63, 64, 65, 127, 128, 255, 256, 1024, 4096) },
  { weight: 1, arbitrary: fc.nat(70_000) },
);

/** Cheap to make and to shrink, and of little use to a compressor. */
const bodies = fc.tuple(bodySizes, fc.nat(255)).map(([size, start]) => {
  const body = new Uint8Array(size);
  for (let at = 0; at < size; at += 1) body[at] = start + at * at;
  return body;
});

const metadata: fc.Arbitrary<Metadata> = fc
  .uniqueArray(
    fc.tuple(
      // On the wire keys are in lower case, and not empty.
      fc
        .string({ unit: "binary", minLength: 1, maxLength: 200 })
        .map((key) => key.toLowerCase())
        .filter((key) => key === key.toLowerCase() && key !== "__proto__"),
      fc.string({ unit: "binary", maxLength: 300 }),
    ),
    { maxLength: 5, selector: ([key]) => key },
  )
  .map((pairs) => Object.fromEntries(pairs));

const verification = fc.option(
  fc.record({
    nonce: fc.uint8Array({ minLength: 8, maxLength: 8 }),
    signature: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  }),
  { freq: 3 },
);

const uint8 = fc.nat(255);
const uint16 = fc.nat(0xffff);
const uint32 = fc.nat(0xffffffff);

export function packets(version: Version): fc.Arbitrary<Packet> {
  const shared = {
    command: uint8,
    metadata: version === 1 ? fc.constant({}) : metadata,
    body: bodies,
    gzip: fc.boolean(),
    verification,
  };
  return fc.oneof(
    fc.record({
      type: fc.constant("request" as const),
      ...shared,
      requestId: uint32,
      timeoutMs: uint16,
    }),
    fc.record({
      type: fc.constant("response" as const),
      ...shared,
      requestId: uint32,
      status: uint8,
    }),
    fc.record({ type: fc.constant("push" as const), ...shared }),
  );
}

export const versions = fc.constantFrom<Version>(1, 2);

/** Sizes of chunks, to be used over and over. */
export const cuts = fc.array(
  fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 5000 })),
  { minLength: 1, maxLength: 8 },
);

export interface Mutation {
  readonly kind: "set" | "insert" | "remove" | "cut";
  /** From 0 to 1: where, as a part of the length. */
  readonly where: number;
  readonly byte: number;
}

export const mutations: fc.Arbitrary<Mutation[]> = fc.array(
  fc.record({
    kind: fc.constantFrom("set", "set", "set", "insert", "remove", "cut"),
    where: fc.oneof(
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      fc.double({ min: 0, max: 0.05, noNaN: true }), // headers are at the beginning
    ),
    byte: uint8,
  }),
  { maxLength: 6 },
);

export function mutate(bytes: Uint8Array, steps: readonly Mutation[]): Uint8Array {
  const result = Array.from(bytes);
  for (const { kind, where, byte } of steps) {
    const at = Math.floor(where * result.length);
    if (kind === "set") result[at] = byte;
    else if (kind === "insert") result.splice(at, 0, byte);
    else if (kind === "remove") result.splice(at, 1);
    else result.length = at;
  }
  return Uint8Array.from(result);
}
