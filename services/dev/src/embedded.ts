/** The whole cluster inside one process: no Redis, no NATS, every port on loopback. */
import { createMemoryHub } from "@holdfast/cluster";
import {
  combineUpstreams,
  commandsOf,
  createEchoUpstream,
  createEdgeService,
  createMemoryPush,
  type MemoryPush,
  readEdgeConfig,
} from "@holdfast/edge";
import { createLog, createMetrics, type Log, systemClock } from "@holdfast/runtime";
import {
  createMemoryLedger,
  createMemoryRegistry,
  createMemoryTurn,
  type NodeLedger,
  type SessionRegistry,
} from "@holdfast/session";
import { createTokenService, parseDirectory, readTokenConfig } from "@holdfast/token";
import {
  type ClusterOptions,
  credentials,
  type DevCluster,
  directoryJson,
  type EdgeDescription,
  edgeEnvironment,
  tokenEnvironment,
} from "./cluster.ts";
import { createEmbeddedDemo, type DemoUpstream } from "./demo-upstream.ts";

const anyPorts = { EDGE_TCP_PORT: "0", EDGE_WS_PORT: "0", EDGE_ADMIN_PORT: "0" };

/** What the nodes of one process share. */
interface Shared {
  readonly registry: SessionRegistry;
  readonly ledger: NodeLedger;
  readonly hub: ReturnType<typeof createMemoryHub>;
  readonly turn: ReturnType<typeof createMemoryTurn>;
  readonly stops: (() => Promise<void>)[];
  readonly push: MemoryPush;
  readonly demo: ReturnType<typeof createEmbeddedDemo>;
}

export interface EmbeddedCluster extends DevCluster {
  /** The demo's upstream, inside the process. */
  startUpstream(): Promise<DemoUpstream>;
}

export async function startEmbedded(options: ClusterOptions): Promise<EmbeddedCluster> {
  const names = Array.from({ length: options.edges }, (_, index) => `edge-${index + 1}`);
  const { config } = readEdgeConfig({ ...edgeEnvironment("any", options), ...anyPorts });
  const registry = createMemoryRegistry({ settings: config.registry, clock: systemClock });
  const push = createMemoryPush({ registry });
  const demo = createEmbeddedDemo(push);
  const shared: Shared = {
    registry,
    ledger: createMemoryLedger(systemClock),
    push,
    demo,
    hub: createMemoryHub(),
    turn: createMemoryTurn(),
    stops: [],
  };
  const stop = async (): Promise<void> => {
    for (const end of shared.stops.splice(0).toReversed()) await end();
  };
  try {
    const edges: EdgeDescription[] = [];
    for (const name of names) edges.push(await startEdge(name, options, shared));
    const url = await startToken(shared);
    const description = { token: { url, ...credentials }, edges, redis: null, nats: null };
    return { description, failed: new Promise(() => {}), stop, startUpstream: demo.start };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startEdge(
  name: string,
  options: ClusterOptions,
  { registry, ledger, hub, turn, stops, push, demo }: Shared,
): Promise<EdgeDescription> {
  const { config } = readEdgeConfig({ ...edgeEnvironment(name, options), ...anyPorts });
  const log = createDevLog("edge", config.nodeId, config.logLevel);
  const service = createEdgeService({
    config,
    registry,
    ledger,
    bus: hub.bus(),
    upstream: combineUpstreams([
      createEchoUpstream(commandsOf(config.echoCommands)),
      demo.upstream,
    ]),
    log,
    turn,
    stop: () => void service.drain().then(stop),
  });
  const stop = async (): Promise<void> => {
    detach();
    for (const part of service.parts.toReversed()) await part.stop();
  };
  stops.push(stop);
  const detach = push.attach(service.edge);
  for (const part of service.parts) await part.start();
  const { edge, adminPort } = service;
  return {
    node: name,
    tcp: `tcp://127.0.0.1:${edge.tcpPort}`,
    ws: `ws://127.0.0.1:${edge.wsPort}`,
    admin: `http://127.0.0.1:${adminPort}`,
    pid: process.pid,
  };
}

async function startToken({ registry, hub, stops }: Shared): Promise<string> {
  const { values: config } = readTokenConfig({
    ...tokenEnvironment(),
    TOKEN_PORT: "0",
    TOKEN_ADMIN_PORT: "0",
    TOKEN_DIRECTORY_FILE: "embedded",
    TOKEN_REDIS_URL: "redis://embedded",
    TOKEN_NATS_URL: "nats://embedded",
  });
  const service = createTokenService({
    config,
    registry,
    bus: hub.bus(),
    directory: parseDirectory(directoryJson(), {
      seatsMax: config.TOKEN_CONNECTION_LIMIT,
      policy: config.TOKEN_POLICY,
    }),
    log: createDevLog("token", "token", config.TOKEN_LOG_LEVEL),
    metrics: createMetrics(),
    clock: systemClock,
  });
  stops.push(service.stop);
  await service.start();
  return `http://127.0.0.1:${service.httpPort}`;
}

/** Standard output belongs to whoever started the cluster; the log goes to standard error. */
function createDevLog(
  service: string,
  node: string,
  level: "debug" | "info" | "warn" | "error",
): Log {
  return createLog({ service, node, level, write: (line) => void process.stderr.write(line) });
}
