/**
 * Loaded into the servers by the benchmarks: SIGUSR2 collects garbage, so that memory compares, and
 * writes the bytes of what is alive to BENCH_HEAP_FILE.
 */

import { heapStats } from "bun:jsc";
import { writeFileSync } from "node:fs";

process.on("SIGUSR2", () => {
  Bun.gc(true);
  const { heapSize, extraMemorySize } = heapStats();
  const file = process.env["BENCH_HEAP_FILE"];
  if (file) writeFileSync(file, String(heapSize + extraMemorySize));
});
