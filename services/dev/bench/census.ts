/** Loaded into an edge by `bench garbage`: SIGUSR2 counts what is on the heap, by kind. */
import { heapStats } from "bun:jsc";
import { renameSync, writeFileSync } from "node:fs";

process.on("SIGUSR2", () => {
  const file = process.env["BENCH_HEAP_FILE"] ?? "";
  writeFileSync(`${file}.new`, JSON.stringify(heapStats().objectTypeCounts));
  renameSync(`${file}.new`, file);
});
