/**
 * `bun run prove`: proves the promises of docs/proof.md against real processes, scenario by
 * scenario, and exits with 1 when one is broken. docs/proof.md says how to add a scenario.
 */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { writeFaults } from "./fault-table.ts";
import { keep, readKept, withCatches, withReports } from "./kept.ts";
import { bugs } from "./planted/bugs.ts";
import { type Catch, hunt, isCaught } from "./planted/hunt.ts";
import { findingLine, type Report, type Run, tableText } from "./report.ts";
import type { Finding, Scenario } from "./scenario.ts";
import { readScenarios } from "./scenarios.ts";
import { isWhole, type Outcome, runScenario, type TrialOptions } from "./trial.ts";

const usage = `Usage: bun run prove [scenario...] [options]

  --list         the scenarios, a line each
  --short        the short form: minutes in all, smaller counts, the same bounds
  --scale F      the long form at a fraction of its counts, above 0 and up to 1
  --seed N       what is drawn is drawn again
  --json FILE    the findings, for a machine
  --write        also keeps the results in docs/proof.json, in the place of older ones of the same
                 scenarios or bugs, and writes docs/proof.md from all that is kept there
  --paper        runs nothing, and writes docs/proof.md anew from what is kept
  --from FILE    runs nothing, and takes the results that --json has kept; may be repeated
  --planted      instead: plants each bug of planted/bugs.ts, and expects just its scenarios to
                 break; the names are those of bugs. Short form
  --faults       instead: writes the table of faults and metrics into docs/operations.md
  --others       with --planted: also runs the scenarios that must stay green
`;

async function versions(): Promise<string> {
  const told = (command: readonly string[], pattern: RegExp) => {
    const path = `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/local/sbin`;
    const { stdout } = Bun.spawnSync([...command], { env: { ...process.env, PATH: path } });
    return pattern.exec(stdout.toString())?.[1] ?? "unknown";
  };
  const redis = told(["redis-server", "--version"], /v=(\S+)/);
  const nats = told(["nats-server", "--version"], /v(\d\S*)/);
  return `Bun ${Bun.version}, Redis ${redis}, nats-server ${nats}`;
}

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      list: { type: "boolean", default: false },
      short: { type: "boolean", default: false },
      scale: { type: "string", default: "1" },
      seed: { type: "string" },
      json: { type: "string" },
      write: { type: "boolean", default: false },
      paper: { type: "boolean", default: false },
      from: { type: "string", multiple: true, default: [] },
      planted: { type: "boolean", default: false },
      others: { type: "boolean", default: false },
      faults: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const scale = Number(values.scale);
  const seed = Number(values.seed ?? 1 + Math.floor(Math.random() * 0x7fffffff));
  if (!(scale > 0 && scale <= 1)) throw new Error(`--scale is "${values.scale}": 0 to 1`);
  if (!Number.isInteger(seed)) throw new Error(`--seed is "${values.seed}": must be an integer`);
  return { ...values, scale, seed, names: positionals };
}

function chosen(all: readonly Scenario[], names: readonly string[], isShort: boolean) {
  const unknown = names.filter((name) => !all.some((scenario) => scenario.name === name));
  if (unknown.length > 0) throw new Error(`There is no scenario ${unknown.join(", ")}: see --list`);
  if (names.length > 0) return all.filter(({ name }) => names.includes(name));
  return all.filter(({ isLongOnly = false }) => !(isShort && isLongOnly));
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function main(): Promise<number> {
  const wanted = readArguments();
  const all = await readScenarios();
  if (wanted.help) print(usage);
  if (wanted.list) {
    for (const { name, promises, shows } of all) print(`${name.padEnd(22)} ${promises}: ${shows}`);
  }
  if (wanted.faults) await writeFaults(all);
  if (wanted.paper) await keep(await readKept(), knownOf(all));
  if (wanted.help || wanted.list || wanted.faults || wanted.paper) return 0;
  if (wanted.from.length > 0) return tellAgain(await readReports(wanted.from), all, wanted);
  const size = wanted.short || wanted.planted ? "short" : "long";
  const run: Run = {
    ...{ size, scale: wanted.scale, seed: wanted.seed },
    command: commandOf(process.argv.slice(2)),
    date: new Date().toISOString().slice(0, 10),
    versions: await versions(),
    machine: `${cpus().length} cores`,
  };
  print(`seed ${run.seed}, ${size} form; ${run.versions}; ${run.machine}`);
  return wanted.planted ? plantAll(run, all, wanted) : prove(run, all, wanted);
}

/** Without the file of `--json`, which is a place on this machine. */
function commandOf(words: readonly string[]): string {
  const kept = words.filter((word, at) => word !== "--json" && words[at - 1] !== "--json");
  return ["bun run prove", ...kept].join(" ");
}

type Wanted = ReturnType<typeof readArguments>;

async function prove(run: Run, all: readonly Scenario[], wanted: Wanted): Promise<number> {
  const outcomes: Outcome[] = [];
  for (const scenario of chosen(all, wanted.names, wanted.short)) {
    print(`${scenario.name}: ${scenario.shows}`);
    const outcome = await runScenario(scenario, optionsOf(run));
    outcomes.push(outcome);
    print(`  ${(outcome.tookMs / 1000).toFixed(1)} s`);
  }
  const report = { run, outcomes };
  if (wanted.json !== undefined) await Bun.write(wanted.json, JSON.stringify(report, null, 2));
  return tellAgain([report], all, wanted);
}

function readReports(files: readonly string[]): Promise<readonly Report[]> {
  return Promise.all(files.map(async (file) => (await Bun.file(file).json()) as Report)); // ours
}

async function tellAgain(
  reports: readonly Report[],
  all: readonly Scenario[],
  { write: isWritten }: Wanted,
): Promise<number> {
  const outcomes = reports.flatMap((report) => report.outcomes);
  print(`\n${tableText(outcomes)}\n`);
  if (isWritten) await keep(withReports(await readKept(), reports), knownOf(all));
  const broken = outcomes.filter((outcome) => !isWhole(outcome));
  return conclude(
    broken.map(({ scenario }) => scenario),
    outcomes,
  );
}

async function plantAll(run: Run, all: readonly Scenario[], wanted: Wanted): Promise<number> {
  const some = wanted.names;
  const unknown = some.filter((name) => !bugs.some((bug) => bug.name === name));
  if (unknown.length > 0) throw new Error(`There is no bug ${unknown.join(", ")} to plant`);
  const catches: Catch[] = [];
  for (const bug of bugs.filter(({ name }) => some.length === 0 || some.includes(name))) {
    print(`${bug.name}: ${bug.what}; must break ${bug.reds.join(", ")}`);
    const scenarios = all.filter(({ name, isLongOnly = false }) => {
      return bug.reds.includes(name) || (wanted.others && !isLongOnly);
    });
    const caught = await hunt(bug, scenarios, optionsOf(run));
    catches.push(caught);
    for (const name of caught.missed) print(`  WRONG    ${name} stayed green`);
    for (const name of caught.stray) print(`  WRONG    ${name} turned red`);
  }
  if (wanted.json !== undefined) {
    await Bun.write(wanted.json, JSON.stringify({ run, catches }, null, 2));
  }
  if (wanted.write) await keep(withCatches(await readKept(), run, catches), knownOf(all));
  return conclude(
    catches.filter((one) => !isCaught(one)).map(({ bug }) => bug.name),
    catches,
  );
}

function knownOf(scenarios: readonly Scenario[]) {
  return { scenarios, bugs: bugs.map(({ name }) => name) };
}

function optionsOf({ size, scale, seed }: Run): TrialOptions {
  const log = (line: string) => print(`  ${line}`);
  const onFinding = (finding: Finding) => print(findingLine(finding));
  return { size, scale, seed, planted: {}, log, onFinding };
}

/** The last lines count as those of the other steps of ./scripts/test do. */
function conclude(failed: readonly string[], all: readonly unknown[]): number {
  if (failed.length > 0) print(`Broken: ${failed.join(", ")}`);
  print(` ${all.length - failed.length} pass\n ${failed.length} fail`);
  return failed.length === 0 ? 0 : 1;
}

const code = await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  return 2;
});
process.exit(code); // whatever a broken run has left open
