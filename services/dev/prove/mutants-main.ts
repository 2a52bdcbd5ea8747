/** Runs the mutants that `runMutants` has ordered, and tells of each that breaks a rule. */
import { runCodecFuzz } from "../test/fuzz/codec-fuzz.ts";
import { readSeeds } from "../test/fuzz/seeds.ts";
import type { MutantsOrder, MutantsWord } from "./mutants.ts";

function tell(word: MutantsWord): void {
  process.send?.(word);
}

async function run(order: MutantsOrder): Promise<void> {
  const onBroken = (failure: Error) => {
    tell({ kind: "broken", words: `${failure.message}: ${String(failure.cause)}` });
  };
  const report = await runCodecFuzz({ ...order, seeds: await readSeeds(), onBroken });
  tell({ kind: "done", report });
}

process.on("message", (order: MutantsOrder) => void run(order)); // who gave it ends this process
process.on("disconnect", () => process.exit(0)); // nobody hears it
