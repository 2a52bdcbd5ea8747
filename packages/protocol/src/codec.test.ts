/**
 * Properties of the codec as a whole. Goal: no chunking changes what is read, and no bytes do harm.
 * How: random packets, golden packets with random faults, and plain noise, in random chunks. The
 * seed is printed; see test/fuzz.ts for how to replay it, or to look longer. [I8]
 */

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { cutEach, cutInto, type Fed, faultIn, feed, join } from "../test/feed.ts";
import { cuts, fuzz, mutate, mutations, packets, versions } from "../test/fuzz.ts";
import { defaultLimits, fromHex, malformedRows, packetRows, streamRows } from "../test/vectors.ts";
import { encode } from "./encode.ts";
import { headerBytesMax, metadataBytesMax, verificationBytes } from "./layout.ts";
import { decodeMessage } from "./message.ts";
import type { ProtocolFault, Version } from "./packet.ts";
import type { DecoderLimits } from "./parse.ts";

setDefaultTimeout(5000 + fuzz.numRuns * 20);

const faults: readonly (ProtocolFault | null)[] = [
  null,
  "bad-type",
  "bad-gzip",
  "too-large",
  "bad-metadata",
];

/** For packets that are to get through: heartbeats of any size are among them. */
const wideLimits: DecoderLimits = { ...defaultLimits, heartbeatBytesMax: 1024 * 1024 };

/** Narrow, so that random lengths are often within them and often not. */
const limits: DecoderLimits = {
  bodyBytesMax: 4096,
  inflatedBytesMax: 8192,
  heartbeatBytesMax: 512,
};

/** Whatever comes, this is the most that may be held for an unfinished packet. [I6] */
const pendingBytesMax = limits.bodyBytesMax + headerBytesMax + metadataBytesMax + verificationBytes;

const golden = [...packetRows, ...malformedRows, ...streamRows].map((row) => fromHex(row.hex));

describe("codec", () => {
  test("packet is the same after it has been written and read, in any chunks", () => {
    fc.assert(
      fc.property(
        versions.chain((version) => fc.tuple(fc.constant(version), packets(version))),
        cuts,
        ([version, packet], sizes) => {
          const bytes = encode(packet, version);

          expect(decodeMessage(bytes, version, wideLimits)).toEqual(packet);
          expect(feed(cutInto(bytes, sizes), version, wideLimits)).toMatchObject({
            packets: [packet],
            pendingBytes: 0,
          });
        },
      ),
      fuzz,
    );
  });

  test("packets of a stream are the same whatever the chunks", () => {
    fc.assert(
      fc.property(
        versions.chain((version) =>
          fc.tuple(fc.constant(version), fc.array(packets(version), { maxLength: 6 })),
        ),
        cuts,
        ([version, list], sizes) => {
          const bytes = join(list.map((packet) => encode(packet, version)));

          const fed = feed(cutInto(bytes, sizes), version, wideLimits);

          expect(fed).toMatchObject({ packets: list, fault: null, pendingBytes: 0 });
        },
      ),
      fuzz,
    );
  });

  test("golden bytes with faults raise only ProtocolError, and the same one in any chunks", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...golden), { minLength: 1, maxLength: 3 }),
        mutations,
        versions,
        cuts,
        (parts, steps, version, sizes) => check(mutate(join(parts), steps), version, sizes),
      ),
      { ...fuzz, numRuns: fuzz.numRuns * 5 },
    );
  });

  test("noise raises only ProtocolError, and the same one in any chunks", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 3000 }),
        fc.constantFrom(0x01, 0x02, 0x03, 0x13, 0x21, 0xf3), // else most would end at once
        versions,
        cuts,
        (noise, first, version, sizes) => {
          noise[0] = first;
          // A short body, so that more than the first header is read.
          noise.fill(0, 2, 12);
          check(noise, version, sizes);
        },
      ),
      { ...fuzz, numRuns: fuzz.numRuns * 5 },
    );
  });

  test("first byte decides alone whether there is a packet", () => {
    for (let first = 0; first < 256; first += 1) {
      const type = first & 0x0f;
      const fault = type >= 1 && type <= 3 ? null : "bad-type";

      expect(feed([Uint8Array.of(first)], 1).fault).toBe(fault);
      expect(faultIn(() => decodeMessage(Uint8Array.of(first), 2, defaultLimits))).toBe(
        fault ?? "truncated",
      );
    }
  });
});

function check(bytes: Uint8Array, version: Version, sizes: readonly number[]): void {
  const whole = feed([bytes], version, limits);

  expect(faults).toContain(whole.fault);
  for (const chunks of [cutInto(bytes, sizes), cutEach(bytes)]) {
    const fed = feed(chunks, version, limits);
    expect(summary(fed)).toEqual(summary(whole));
    expect(fed.pendingBytesPeak).toBeLessThanOrEqual(pendingBytesMax);
    expect(fed.pendingBytesPeak).toBeLessThanOrEqual(Math.max(64, 2 * bytes.length));
  }
  // A message fails with the fault of the stream, or in the two ways that only a message can.
  const fault = faultIn(() => decodeMessage(bytes, version, limits));
  expect([...faults, "truncated", "trailing"]).toContain(fault);
}

function summary(fed: Fed) {
  return { packets: fed.packets, fault: fed.fault };
}
