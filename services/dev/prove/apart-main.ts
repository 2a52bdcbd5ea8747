/** Runs one scenario for `runApart`, in the namespace that this process was started in. */
import type { ApartOrder, ApartWord } from "./apart.ts";
import type { Finding } from "./scenario.ts";
import { readScenarios } from "./scenarios.ts";
import { runScenario } from "./trial.ts";
import { bad } from "./wire/path.ts";
import { openBadWire } from "./wire/wire.ts";

function tell(word: ApartWord): void {
  process.send?.(word);
}

async function run({ scenario: name, ...options }: ApartOrder): Promise<void> {
  try {
    const wire = await openBadWire(bad, 1);
    await wire.stop();
  } catch (error) {
    return tell({ kind: "refused", why: error instanceof Error ? error.message : String(error) });
  }
  const scenario = (await readScenarios()).find((one) => one.name === name);
  if (scenario === undefined) return tell({ kind: "refused", why: `There is no ${name}` });
  tell({ kind: "begun" });
  const log = (line: string) => tell({ kind: "log", line });
  const onFinding = (finding: Finding) => {
    tell({ kind: "finding", finding });
  };
  const outcome = await runScenario(scenario, { ...options, log, onFinding });
  tell({ kind: "done", outcome });
}

process.on("message", (order: ApartOrder) => void run(order)); // who gave it ends this process
process.on("disconnect", () => process.exit(0)); // nobody hears it
