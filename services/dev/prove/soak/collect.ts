/**
 * Loaded before an edge: at SIGUSR2 it collects all garbage, and writes what is alive then to the
 * file that SOAK_HEAP_FILE names. What is counted is the same however much garbage there was.
 */
import { heapStats } from "bun:jsc";
import { renameSync, writeFileSync } from "node:fs";

const file = process.env["SOAK_HEAP_FILE"];

process.on("SIGUSR2", () => {
  if (file === undefined) return;
  for (let turn = 0; turn < 2; turn++) Bun.gc(true); // what the first one frees may free more
  const { heapSize, extraMemorySize, objectCount } = heapStats();
  const alive = { objectBytes: heapSize - extraMemorySize, bytes: heapSize, objects: objectCount };
  writeFileSync(`${file}.new`, JSON.stringify(alive));
  renameSync(`${file}.new`, file);
});
