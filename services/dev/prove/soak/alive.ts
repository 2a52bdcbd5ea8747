/** Has edges collect their garbage, and say what is alive; see collect.ts, which they load. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../ground.ts";
import type { LabEdge } from "../lab.ts";

export interface Alive {
  /** Of the objects on the heap themselves: flat where nothing leaks. */
  readonly objectBytes: number;
  /** With what they hold elsewhere: strings, buffers, and the code that was compiled for them. */
  readonly bytes: number;
  readonly objects: number;
}

export interface Collector {
  /** Of the edge in that place. */
  settingsOf(index: number): Readonly<Record<string, string>>;
  collect(edge: LabEdge, index: number): Promise<Alive>;
  stop(): void;
}

/** Memory that was freed goes back to the kernel after a while. */
const givenBackMs = 1000;

export function createCollector(): Collector {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-soak-"));
  const fileOf = (index: number) => join(folder, `edge-${index}`);
  return {
    settingsOf: (index) => ({
      SOAK_HEAP_FILE: fileOf(index),
      BUN_OPTIONS: `--preload ${join(import.meta.dir, "collect.ts")}`,
    }),
    async collect(edge, index) {
      const file = fileOf(index);
      rmSync(file, { force: true });
      process.kill(edge.child.pid, "SIGUSR2");
      await until("an edge to collect its garbage", () => existsSync(file));
      await Bun.sleep(givenBackMs);
      return (await Bun.file(file).json()) as Alive; // ours
    },
    stop: () => rmSync(folder, { recursive: true, force: true }),
  };
}
