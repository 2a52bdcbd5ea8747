/** Says once when Redis or NATS goes away, and once when it is back: not at every failed call. */
import type { Log } from "@holdfast/runtime";

const intervalMs = 500;

export function watchDependencies(
  log: Log,
  dependencies: Readonly<Record<string, () => boolean>>,
): { start(): void; stop(): void } {
  const lostAtMs = new Map<string, number>();
  let timer: ReturnType<typeof setInterval> | undefined;

  return {
    start() {
      timer = setInterval(look, intervalMs);
    },
    stop: () => clearInterval(timer),
  };

  function look(): void {
    for (const [dependency, isUp] of Object.entries(dependencies)) {
      const lostAt = lostAtMs.get(dependency);
      if (isUp()) {
        if (lostAt === undefined) continue;
        lostAtMs.delete(dependency);
        const seconds = Math.round((performance.now() - lostAt) / 100) / 10;
        log.info("dependency_back", { dependency, seconds });
      } else if (lostAt === undefined) {
        lostAtMs.set(dependency, performance.now());
        log.error("dependency_lost", { dependency });
      }
    }
  }
}
