/**
 * Mutants against the decoder in a process of their own: what other scenarios have left in this
 * one would count as the decoder's memory.
 */
import { join } from "node:path";
import type { CodecFuzzReport } from "../test/fuzz/codec-fuzz.ts";

export interface MutantsOrder {
  readonly seed: number;
  readonly packets: number;
}

export type MutantsWord =
  /** A stream broke a rule; with what it takes to see it again. */
  | { readonly kind: "broken"; readonly words: string }
  | { readonly kind: "done"; readonly report: CodecFuzzReport };

/** Rejects when the process ends before it is done. */
export async function runMutants(
  order: MutantsOrder,
  onBroken: (words: string) => void,
): Promise<CodecFuzzReport> {
  const { promise, resolve, reject } = Promise.withResolvers<CodecFuzzReport>();
  const script = join(import.meta.dir, "mutants-main.ts");
  const child = Bun.spawn(["setpriv", "--pdeathsig", "KILL", process.execPath, script], {
    stdio: ["ignore", "ignore", "inherit"],
    ipc(word: MutantsWord) {
      if (word.kind === "broken") onBroken(word.words);
      else resolve(word.report);
    },
  });
  void child.exited.then((code) => reject(new Error(`The process of mutants ended with ${code}`)));
  child.send(order);
  try {
    return await promise;
  } finally {
    child.kill();
  }
}
