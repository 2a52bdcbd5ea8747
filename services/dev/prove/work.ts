/** What nodes and Redis do from now on: CPU, and commands a second. */
import { metric } from "./ground.ts";
import type { Lab, LabEdge } from "./lab.ts";
import { askRedis } from "./redis-line.ts";

export interface Work {
  done(): Promise<WorkDone>;
}

export interface WorkDone {
  /** Of one node, on average; 100: a core. */
  readonly cpuPercent: number;
  readonly commandsPerSecond: number;
  /** Without what scripts do. */
  readonly callsPerSecond: number;
}

/** Nodes that have started again since count from nothing, and Redis from its first. */
export async function startWork(lab: Lab, edges: readonly LabEdge[]): Promise<Work> {
  const pids = edges.map(({ child }) => child.pid);
  const before = await Promise.all(edges.map(cpuSeconds));
  const [redis] = lab.servers.redis;
  if (redis === undefined) throw new Error("Cannot count what no Redis does");
  const first = await counted();
  const startedMs = performance.now();

  return {
    async done() {
      const seconds = (performance.now() - startedMs) / 1000;
      const last = await counted();
      const after = await Promise.all(edges.map(cpuSeconds));
      const used = edges.map(({ child }, index) => {
        const since = child.pid === pids[index] ? (before[index] ?? 0) : 0;
        return (after[index] ?? 0) - since;
      });
      const cpu = used.reduce((sum, each) => sum + each, 0) / edges.length;
      return {
        cpuPercent: (100 * cpu) / seconds,
        commandsPerSecond: (last.commands - first.commands) / seconds,
        callsPerSecond: (last.calls - first.calls) / seconds,
      };
    },
  };

  async function counted() {
    const stats = await askRedis(redis!, "INFO stats"); // it is there
    const each = await askRedis(redis!, "INFO commandstats");
    return {
      commands: numberIn(stats, /total_commands_processed:(\d+)/),
      calls: numberIn(each, /cmdstat_evalsha:calls=(\d+)/),
    };
  }
}

function cpuSeconds({ description }: LabEdge): Promise<number> {
  return metric({ admins: [description.admin] }, "process_cpu_seconds_total");
}

function numberIn(text: string, pattern: RegExp): number {
  return Number(pattern.exec(text)?.[1] ?? 0);
}
