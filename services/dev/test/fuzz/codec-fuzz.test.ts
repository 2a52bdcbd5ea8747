/**
 * The codec under mutants. FUZZ_SEED replays a run, FUZZ_ONLY one stream of it, and FUZZ_PACKETS is
 * how many packets there are: `FUZZ_PACKETS=20000000 bun test --timeout 600000 codec-fuzz`.
 */
import { describe, expect, test } from "bun:test";
import { readSamples } from "../attack.ts";
import { checkTruncations, fuzzLimits, runCodecFuzz } from "./codec-fuzz.ts";
import { fuzzSeed } from "./draws.ts";
import { readSeeds } from "./seeds.ts";

const mebibyte = 1024 * 1024;
/** Of a node by default, behind a login. [D07] */
const nodeLimits = {
  bodyBytesMax: mebibyte,
  inflatedBytesMax: 4 * mebibyte,
  heartbeatBytesMax: mebibyte / 16,
};
const packets = Number(process.env["FUZZ_PACKETS"] ?? 2_000_000);
const only = process.env["FUZZ_ONLY"];

describe("decoder under mutants", () => {
  test("each is a packet or a ProtocolError, within the limits, whatever the cuts", async () => {
    const seed = fuzzSeed("codec");
    const seeds = await readSeeds();
    const again = only === undefined ? undefined : Number(only);

    const report = await runCodecFuzz({ seeds, seed, packets, only: again });

    process.stderr.write(`${JSON.stringify(report)}\n`);
    if (only !== undefined) return;
    expect(report.packets).toBeGreaterThanOrEqual(packets);
    expect(report.grownBytes).toBeLessThan(128 * mebibyte);
    // The mutants reach every fault that a stream can have, and leave enough whole.
    const words = ["bad-gzip", "bad-metadata", "bad-type", "none", "too-large"];
    expect(Object.keys(report.faults).toSorted()).toEqual(words);
    expect(report.decoded).toBeGreaterThan(packets / 4);
  }, 600_000);

  test("every truncation of every vector is read alike, whatever the cuts", async () => {
    const samples = await readSamples();

    const counts = [fuzzLimits, nodeLimits].map((limits) => checkTruncations(samples, limits));

    for (const count of counts) expect(count).toBeGreaterThan(5000);
  });

  // Goal: the checks can fail. How: the decoder is told other limits than those that are checked.
  test("a decoder that takes more than it may is found out", async () => {
    const seeds = await readSeeds();
    const toldLimits = { ...fuzzLimits, inflatedBytesMax: 2 * fuzzLimits.inflatedBytesMax };
    const larger = { ...toldLimits, bodyBytesMax: 4 * fuzzLimits.bodyBytesMax };

    const run = runCodecFuzz({ seeds, seed: 7, packets: 200_000, toldLimits: larger });

    await expect(run).rejects.toThrow("FUZZ_SEED=7 FUZZ_ONLY=");
  });

  test("all that break a rule are counted where somebody hears of them", async () => {
    const seeds = await readSeeds();
    const toldLimits = { ...fuzzLimits, bodyBytesMax: 4 * fuzzLimits.bodyBytesMax };
    const broken: string[] = [];
    const onBroken = ({ message }: Error) => void broken.push(message);

    const report = await runCodecFuzz({ seeds, seed: 7, packets: 20_000, toldLimits, onBroken });

    expect(report.packets).toBeGreaterThanOrEqual(20_000);
    expect(broken.length).toBeGreaterThan(1);
    for (const words of broken) expect(words).toInclude("FUZZ_SEED=7 FUZZ_ONLY=");
  });
});
