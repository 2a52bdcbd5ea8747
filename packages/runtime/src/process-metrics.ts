/**
 * The standard `process_*` metrics that tell the truth under Bun. The defaults of prom-client are
 * not used: three of them fail `promtool check metrics`, and others stay at zero here.
 */
import { readdirSync, readFileSync } from "node:fs";

export const processMetrics = [
  {
    name: "process_cpu_seconds_total",
    type: "counter",
    help: "User and system CPU time spent, in seconds",
    read: cpuSeconds,
  },
  {
    name: "process_resident_memory_bytes",
    type: "gauge",
    help: "Resident memory size in bytes",
    read: () => process.memoryUsage.rss(),
  },
  {
    name: "process_heap_bytes",
    type: "gauge",
    help: "Heap of the JavaScript engine that is in use, in bytes",
    read: () => process.memoryUsage().heapUsed,
  },
  {
    name: "process_open_fds",
    type: "gauge",
    help: "Number of open file descriptors",
    read: openFiles,
  },
  {
    name: "process_max_fds",
    type: "gauge",
    help: "Maximum number of open file descriptors",
    read: openFilesMax,
  },
  {
    name: "process_start_time_seconds",
    type: "gauge",
    help: "Start time of the process since the Unix epoch, in seconds",
    read: () => startSeconds,
  },
] as const;

const startSeconds = (Date.now() - performance.now()) / 1000;

function cpuSeconds(): number {
  const used = process.cpuUsage();
  return (used.user + used.system) / 1_000_000;
}

/** Zero where there is no procfs, as on a developer's machine. */
function openFiles(): number {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return 0;
  }
}

function openFilesMax(): number {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 0);
  } catch {
    return 0;
  }
}
