/**
 * Promise 8 without sockets: mutants of valid packets and of the vectors against the decoder. Two
 * million of them run with the tests of the codec; here, in the long form, 20.
 */
import { readSamples } from "../../test/attack.ts";
import { checkTruncations, fuzzLimits } from "../../test/fuzz/codec-fuzz.ts";
import { runMutants } from "../mutants.ts";
import type { Scenario } from "../scenario.ts";

const mebibyte = 1024 * 1024;
/** At the highest, with what is not collected yet: their process is not told to collect it. */
const grownMax = 32;
const toldMax = 5; // of each kind, with what it takes to see them again

export const scenario: Scenario = {
  name: "hostile-codec",
  promises: [8],
  moves: [],
  shows: "whatever bytes come, the codec makes packets of them or refuses them, within its limits",
  async run({ count, measure, seed, log }) {
    const packets = count({ short: 100_000, long: 20_000_000 });
    const broken = { mutants: 0, truncations: 0 };
    const counted = (kind: keyof typeof broken) => (words: string) => {
      if (broken[kind]++ < toldMax) log(words);
    };
    const report = await runMutants({ seed, packets }, counted("mutants"));

    log(JSON.stringify(report.faults));
    const promise = 8;
    const what = "mutants that became neither a packet nor a ProtocolError, or two things";
    const note = `${report.packets.toLocaleString("en")} packets, ${report.tookMs} ms`;
    measure({ promise, what, exactly: 0, measured: broken.mutants, note });
    const most = 13 + 65_535 + fuzzLimits.bodyBytesMax + 24;
    const peak = { measured: report.pendingBytesPeak, unit: "bytes" };
    measure({ promise, what: "held for one packet", atMost: most, ...peak });
    const grown = { measured: report.grownBytes / mebibyte, unit: "MiB" };
    measure({
      promise,
      what: "memory gained after the first tenth",
      atMost: grownMax,
      ...grown,
    });
    const samples = await readSamples();
    const isCut = counted("truncations");
    const truncations = checkTruncations(samples, fuzzLimits, (failure) => {
      isCut(`${failure.message}: ${String(failure.cause)}`);
    });
    const cut = "truncations of vectors that are read otherwise when they are cut";
    const cuts = { measured: broken.truncations, note: `${truncations} truncations` };
    measure({ promise, what: cut, exactly: 0, ...cuts });
  },
};
