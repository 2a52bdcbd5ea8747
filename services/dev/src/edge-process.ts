/** An edge as a process of its own on free ports: ended and started again in the same place. */
import { join } from "node:path";
import { freePort } from "@holdfast/servers";
import { type Child, launch, untilReady } from "./child.ts";
import type { EdgeDescription } from "./cluster.ts";

const script = join(import.meta.dir, "../../edge/src/main.ts");

/** One edge; it may be ended and started again in the same place. */
export interface EdgeProcess {
  readonly description: EdgeDescription; // with the pid of now
  readonly child: Child;
  /** Resolves once it answers; rejects when it has ended, or not in time. */
  ready(): Promise<void>;
  /** Drains, as SIGTERM does; resolves with the exit code. */
  drain(): Promise<number>;
  /** Starts it again after `drain` or a kill. */
  start(): Promise<void>;
}

export interface EdgeProcessOptions {
  readonly name: string;
  /** All but the ports. */
  readonly settings: Readonly<Record<string, string>>;
  readonly log: "inherit" | "ignore";
  /** It has ended, and not with 0. */
  readonly onEnd: (reason: string) => void;
}

export async function launchEdge(options: EdgeProcessOptions): Promise<EdgeProcess> {
  const { name, log, onEnd } = options;
  const [tcp, ws, admin] = [await freePort(), await freePort(), await freePort()];
  const adminUrl = `http://127.0.0.1:${admin}`;
  const settings = {
    ...options.settings,
    EDGE_TCP_PORT: String(tcp),
    EDGE_WS_PORT: String(ws),
    EDGE_ADMIN_PORT: String(admin),
  };
  const run = (): Child => {
    const started = launch({ script, settings, log });
    void started.exited.then((code) => {
      if (code !== 0) onEnd(`${name} ended with code ${code}`);
    });
    return started;
  };
  let child = run();
  return {
    get description() {
      return {
        node: name,
        tcp: `tcp://127.0.0.1:${tcp}`,
        ws: `ws://127.0.0.1:${ws}`,
        admin: adminUrl,
        pid: child.pid,
      };
    },
    get child() {
      return child;
    },
    ready: () => untilReady(name, adminUrl, child),
    async drain() {
      await child.stop(false);
      return child.exited;
    },
    async start() {
      child = run();
      await untilReady(name, adminUrl, child);
    },
  };
}
