/** What a benchmark reads off a process from outside: CPU time, memory, the core it runs on. */
import { readFileSync } from "node:fs";

const ticksPerSecond = 100; // USER_HZ, the unit of /proc/PID/stat on every Linux

/** All threads of the process, now and to come. */
export function pin(pid: number, core: number): void {
  const { exitCode } = Bun.spawnSync(["taskset", "-apc", String(core), String(pid)]);
  if (exitCode !== 0) throw new Error(`Cannot pin process ${pid} to core ${core}`);
}

/** User and system time of all threads, in steps of 10 ms. */
export function cpuUs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1_000_000) / ticksPerSecond;
}

/** Seconds since the start that the core was not idle; it also works for others. */
export function busySeconds(core: number): number {
  const line = new RegExp(`^cpu${core} (.*)$`, "m").exec(readFileSync("/proc/stat", "utf8"))?.[1];
  const ticks = (line ?? "").split(" ").map(Number);
  const all = ticks.slice(0, 8).reduce((sum, count) => sum + count, 0);
  return (all - (ticks[3] ?? 0) - (ticks[4] ?? 0)) / ticksPerSecond; // idle and iowait
}

/** Memory that is the process's own, not a file's: heaps and stacks. */
export function anonymousBytes(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  return Number(/^Anonymous:\s+(\d+) kB/m.exec(rollup)?.[1]) * 1024;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** A row of a table: the first column to the left, the others to the right. */
export function row(cells: readonly (string | number)[]): string {
  return cells
    .map((cell, index) => (index === 0 ? String(cell).padEnd(34) : String(cell).padStart(12)))
    .join("");
}
