/**
 * Who runs where while a node's own delay is measured: the nodes have the first core to themselves,
 * everything else has the others, and whoever attacks yields to whoever is measured. Where that is
 * not allowed it is left as it is, and said.
 */
import { readdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import type { Lab } from "./lab.ts";

export interface Apart {
  /** In words, for a note. */
  readonly how: string;
  /** Nodes that were started since have their place, too. */
  place(): void;
  /** All run where they like again. */
  restore(): void;
}

const aheadOfOthers = -10;
/** Of all that the kit has started, in the eyes of the kernel: ahead of what else runs here. */
const sessionAhead = -20;
const behindOthers = 10;

/** `neighbours`: the process of those who are measured. */
export function standApart(lab: Lab, neighbours: number): Apart {
  const cores = cpus().length;
  if (cores < 2) return { how: "on one core", place() {}, restore() {} };
  const edges = lab.edges.map(({ child }) => child.pid);
  const servers = [...lab.servers.redis, ...lab.servers.nats].map(({ pid }) => pid);
  const others = [process.pid, neighbours, ...servers];
  const isPinned = [
    ...edges.map((pid) => run("taskset", "-acp", "0", String(pid))),
    ...others.map((pid) => run("taskset", "-acp", `1-${cores - 1}`, String(pid))),
  ].every(Boolean);
  // Whoever may not go back from it stays as it is.
  const isAhead = [...edges, ...servers, neighbours].every((pid) => renice(pid, aheadOfOthers));
  if (isAhead) {
    renice(process.pid, behindOthers);
    weigh(sessionAhead);
  }
  const how = isPinned ? "nodes on a core of their own" : "nodes on any core";
  return {
    how: isAhead ? `${how}, attackers yield` : how,
    place() {
      for (const { child } of lab.edges) {
        if (edges.includes(child.pid)) continue;
        edges.push(child.pid);
        run("taskset", "-acp", "0", String(child.pid));
        if (isAhead) renice(child.pid, aheadOfOthers);
      }
    },
    restore() {
      if (isAhead) {
        renice(process.pid, 0);
        weigh(0);
      }
      // The nodes, too: what is checked afterwards is asked of them within a second.
      for (const pid of [...others, ...edges])
        run("taskset", "-acp", `0-${cores - 1}`, String(pid));
    },
  };
}

/** Every thread of it: a priority belongs to a thread. */
function renice(pid: number, to: number): boolean {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    return run("renice", "-n", String(to), "-p", ...threads);
  } catch {
    return false; // no /proc, or it has gone
  }
}

/** Where the kernel groups by session, priorities count within a group only. */
function weigh(priority: number): void {
  try {
    writeFileSync("/proc/self/autogroup", String(priority));
  } catch {
    // It does not group, and they count among all.
  }
}

function run(...command: string[]): boolean {
  try {
    const stdio = { stdout: "ignore", stderr: "ignore" } as const;
    return Bun.spawnSync(command, stdio).success;
  } catch {
    return false; // there is no such command
  }
}
