/** Every file of the folder is one scenario, in the order of their names. */
import { join } from "node:path";
import type { Scenario } from "./scenario.ts";

export async function readScenarios(): Promise<readonly Scenario[]> {
  const folder = join(import.meta.dir, "scenarios");
  const names = [...new Bun.Glob("*.ts").scanSync(folder)].sort();
  const modules = names.map(async (name) => {
    const { scenario } = (await import(join(folder, name))) as { scenario?: Scenario };
    if (scenario === undefined || `${scenario.name}.ts` !== name) {
      throw new Error(`Cannot use ${name}: it must export a scenario of that name`);
    }
    return scenario;
  });
  return Promise.all(modules);
}
