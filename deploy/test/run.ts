/** Runs a tool of the trade and tells what it said; a tool that hangs is ended. */
import { resolve } from "node:path";

export const root = resolve(import.meta.dir, "../..");

const timeoutMs = 30_000;

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Paths are relative to the root of the repository, whoever calls. */
export function run(command: readonly string[]): Outcome {
  const done = Bun.spawnSync([...command], { cwd: root, timeout: timeoutMs, stdin: "ignore" });
  return {
    status: done.exitCode,
    stdout: done.stdout.toString(),
    stderr: done.stderr.toString(),
  };
}

export async function readText(path: string): Promise<string> {
  return await Bun.file(resolve(root, path)).text();
}

export async function readYaml(path: string): Promise<unknown> {
  return Bun.YAML.parse(await readText(path));
}
