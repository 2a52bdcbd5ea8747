/**
 * What the benchmarks of an edge run on: one edge as in production (a process, real Redis and
 * NATS), and the bare server beside it, both pinned to core 0; everything else is on core 1.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectRedis, createRedisRegistry } from "@holdfast/session/redis";
import { startProcesses } from "../src/processes.ts";
import { pin } from "./gauge.ts";

export interface Place {
  readonly pid: number;
  readonly tcpPort: number;
  readonly wsPort: number;
  /** Where it writes the size of its heap when told to collect garbage. */
  readonly heapFile: string;
}

export interface Stage {
  readonly edge: Place;
  readonly edgeAdmin: string; // http://127.0.0.1:PORT
  readonly natsUrl: string;
  readonly bare: Place;
  /** Tokens of as many accounts that nobody else has. */
  issue(count: number): Promise<readonly string[]>;
  issueTo(account: string): Promise<string>;
  stop(): Promise<void>;
}

/** `settings` of the edge are above those of all benchmarks. */
export async function openStage(settings: Readonly<Record<string, string>> = {}): Promise<Stage> {
  pin(process.pid, 1);
  const folder = await mkdtemp(join(tmpdir(), "holdfast-bench-"));
  const heapFile = join(folder, "edge");
  const cluster = await startProcesses({
    edges: 1,
    log: "ignore",
    settings: {
      EDGE_LOG_LEVEL: "error",
      EDGE_FLAP_DISPLACEMENTS_MAX: "0",
      EDGE_UNAUTHENTICATED_MAX: "16000", // a storm is to be measured, not refused
      EDGE_LOGIN_RATE: process.env["BENCH_LOGIN_RATE"] ?? "0",
      EDGE_LOGIN_QUEUE_MS: "10000", // a queue is to be measured, not its deadline
      EDGE_RECONNECT_HOLD_MS: "10000",
      EDGE_REQUEST_RATE: "0",
      EDGE_INBOUND_BYTES_PER_SECOND: "0", // a few connections are to bring all the load
      EDGE_INBOUND_PACKETS_PER_SECOND: "0",
      EDGE_ACCOUNT_REQUEST_RATE: "0",
      EDGE_AUTH_TIMEOUT_MS: "60000",
      EDGE_HEARTBEAT_INTERVAL_MS: process.env["BENCH_HEARTBEAT_MS"] ?? "30000",
      BENCH_HEAP_FILE: heapFile,
      BUN_OPTIONS: `--preload ${join(import.meta.dir, "collect.ts")}`,
      ...settings,
    },
  });
  const [described] = cluster.description.edges;
  if (described === undefined) throw new Error("Cannot measure without an edge");
  const redis = await connectRedis({ url: cluster.redis.url });
  const registry = createRedisRegistry({ redis });
  const bare = await startBare(join(folder, "bare"));
  pin(described.pid, 0);
  let accounts = 0;

  return {
    edge: {
      pid: described.pid,
      tcpPort: Number(new URL(described.tcp).port),
      wsPort: Number(new URL(described.ws).port),
      heapFile,
    },
    edgeAdmin: described.admin,
    natsUrl: cluster.nats.url,
    bare: bare.place,
    issue: (count) =>
      Promise.all(Array.from({ length: count }, () => issueTo(`bench-${++accounts}`))),
    issueTo,
    async stop() {
      bare.process.kill();
      await bare.process.exited;
      await redis.close();
      await cluster.stop();
      await rm(folder, { recursive: true });
    },
  };

  async function issueTo(account: string): Promise<string> {
    const identity = { account, seatsMax: 1, policy: "displace", metadata: {} } as const;
    return (await registry.issue(identity, 600_000)).token;
  }
}

async function startBare(heapFile: string) {
  const script = join(import.meta.dir, "bare.ts");
  const command = ["setpriv", "--pdeathsig", "KILL", process.execPath, script];
  const child = Bun.spawn(command, {
    env: { ...process.env, BENCH_HEAP_FILE: heapFile },
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of child.stdout) {
    const ports = JSON.parse(new TextDecoder().decode(line));
    pin(child.pid, 0);
    const place = { pid: child.pid, tcpPort: ports.tcp, wsPort: ports.ws, heapFile };
    return { process: child, place };
  }
  throw new Error("Cannot start the bare server: it ended at once");
}
