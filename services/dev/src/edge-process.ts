/** An edge as a process of its own on free ports: ended and started again in the same place. */
import { join } from "node:path";
import { freePort } from "@holdfast/servers";
import { type Child, type ChildLog, EndedAtOnce, launch, untilReady } from "./child.ts";
import type { EdgeDescription } from "./cluster.ts";

const script = join(import.meta.dir, "../../edge/src/main.ts");

/** One edge; it may be ended and started again in the same place. */
export interface EdgeProcess {
  readonly description: EdgeDescription; // with the pid of now
  readonly child: Child;
  /** Drains, as SIGTERM does; resolves with the exit code. */
  drain(): Promise<number>;
  /** Starts it again after `drain` or a kill. */
  start(): Promise<void>;
}

export interface EdgeProcessOptions {
  readonly name: string;
  /** All but the ports. */
  readonly settings: Readonly<Record<string, string>>;
  readonly log: ChildLog;
  /** It was ready, and has ended, and not with 0. */
  readonly onEnd: (reason: string) => void;
}

/** Of those who tell nobody why: the free ports may have been taken by somebody quicker. */
const quietTriesMax = 3;

/** Resolves once it answers; rejects when it has ended, or not in time. */
export async function startEdgeProcess(options: EdgeProcessOptions): Promise<EdgeProcess> {
  for (let tries = options.log === "inherit" ? 1 : quietTriesMax; ; tries--) {
    const edge = await prepare(options);
    try {
      await edge.start();
      return edge;
    } catch (error) {
      if (tries === 1 || !(error instanceof EndedAtOnce)) throw error;
    }
  }
}

async function prepare(options: EdgeProcessOptions): Promise<EdgeProcess> {
  const { name, log, onEnd } = options;
  const [tcp, ws, admin] = [await freePort(), await freePort(), await freePort()];
  const adminUrl = `http://127.0.0.1:${admin}`;
  const settings = {
    ...options.settings,
    EDGE_TCP_PORT: String(tcp),
    EDGE_WS_PORT: String(ws),
    EDGE_ADMIN_PORT: String(admin),
  };
  let child: Child | null = null;
  const running = (): Child => {
    if (child === null) throw new Error(`${name} has never been started`);
    return child;
  };
  return {
    get description() {
      return {
        node: name,
        tcp: `tcp://127.0.0.1:${tcp}`,
        ws: `ws://127.0.0.1:${ws}`,
        admin: adminUrl,
        pid: running().pid,
      };
    },
    get child() {
      return running();
    },
    async drain() {
      await running().stop(false);
      return running().exited;
    },
    async start() {
      const started = launch({ script, settings, log });
      child = started;
      await untilReady(name, adminUrl, started);
      void started.exited.then((code) => {
        if (code !== 0) onEnd(`${name} ended with code ${code}`);
      });
    },
  };
}
