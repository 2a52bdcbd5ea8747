/** Runs scenarios with a bug planted in every edge, and says whether just the right ones break. */
import type { Scenario } from "../scenario.ts";
import { isWhole, type Outcome, runScenario, type TrialOptions } from "../trial.ts";
import { type Bug, planted, settingsOf } from "./bugs.ts";

export interface Catch {
  readonly bug: Bug;
  readonly outcomes: readonly Outcome[];
  /** Scenarios that had to turn red and did not. */
  readonly missed: readonly string[];
  /** Scenarios that turned red and should not have. */
  readonly stray: readonly string[];
}

/** `others`: also those scenarios that the bug must leave green. */
export async function hunt(
  bug: Bug,
  scenarios: readonly Scenario[],
  options: TrialOptions,
): Promise<Catch> {
  await planted(bug); // rejects when it cannot be
  const known = [...bug.reds, ...(bug.mayBreak ?? [])];
  const outcomes: Outcome[] = [];
  for (const scenario of scenarios) {
    const run = () => runScenario(scenario, { ...options, planted: settingsOf(bug) });
    const outcome = await run();
    // What a busy machine has spoiled is whole the second time.
    const isNoise = !isWhole(outcome) && !known.includes(scenario.name);
    outcomes.push(isNoise ? await run() : outcome);
  }
  const red = outcomes.filter((outcome) => !isWhole(outcome)).map(({ scenario }) => scenario);
  const ran = outcomes.map(({ scenario }) => scenario);
  return {
    bug,
    outcomes,
    missed: bug.reds.filter((name) => ran.includes(name) && !red.includes(name)),
    stray: red.filter((name) => !known.includes(name)),
  };
}

export function isCaught({ missed, stray }: Catch): boolean {
  return missed.length === 0 && stray.length === 0;
}
