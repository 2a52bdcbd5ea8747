/** Preloaded into an edge by the benchmarks: SIGUSR2 collects garbage, so that memory compares. */
process.on("SIGUSR2", () => Bun.gc(true));
