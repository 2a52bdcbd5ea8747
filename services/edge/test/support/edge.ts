/**
 * One node in this process for a test: real sockets on free ports, everything else in memory. When
 * it is disposed of it checks what must hold after every test, whatever it did. [I4] [I5] [I7]
 */
import { openWire, type Wire, type WireOptions } from "@holdfast/client/wire";
import { type ClusterBus, createMemoryHub, type MemoryHub } from "@holdfast/cluster";
import {
  type Clock,
  createMetrics,
  createSilentLog,
  type Log,
  type Metrics,
} from "@holdfast/runtime";
import { createMemoryRegistry, type Policy, type SessionRegistry } from "@holdfast/session";
import { type EdgeConfig, readEdgeConfig } from "../../src/config.ts";
import { createEdge, type Edge } from "../../src/edge.ts";
import { createEdgeMetrics, type EdgeMetrics } from "../../src/metrics.ts";
import type { Pushes } from "../../src/push/pushes.ts";
import type { TopicRule } from "../../src/push/topic-rules.ts";
import type { edgeSettings } from "../../src/settings.ts";
import type { Upstream } from "../../src/upstream/upstream.ts";
import { createScriptedUpstream, type ScriptedUpstream } from "./scripted-upstream.ts";

export type TransportName = "tcp" | "ws";
export const transports: readonly TransportName[] = ["tcp", "ws"];

export type TestSettings = Partial<Record<keyof typeof edgeSettings, string | number>>;

export interface TestEdgeOptions {
  readonly settings?: TestSettings;
  /** Shared with other nodes; default: one of its own. */
  readonly registry?: SessionRegistry;
  /** What the node is given in the place of the registry. */
  readonly wrapRegistry?: (registry: SessionRegistry) => SessionRegistry;
  readonly hub?: MemoryHub;
  readonly clock?: Clock;
  readonly topicRules?: readonly TopicRule[];
  /** The only commands of the scripted upstream that have a route. */
  readonly commands?: readonly number[];
  /** Asked in the place of the scripted upstream. */
  readonly openUpstream?: (counts: EdgeMetrics) => Promise<Upstream>;
  readonly log?: Log;
  /** False: seats of accounts may be left behind. */
  readonly checksSeats?: boolean;
}

export interface TestEdge extends AsyncDisposable {
  readonly edge: Edge;
  readonly config: EdgeConfig;
  readonly registry: SessionRegistry;
  readonly bus: ClusterBus;
  readonly upstream: ScriptedUpstream;
  readonly pushes: Pushes;
  url(transport: TransportName): string;
  open(transport: TransportName, options?: Partial<WireOptions>): Promise<Wire>;
  issueToken(account: string, rules?: { limit?: number; policy?: Policy }): Promise<string>;
  /** Open connections of the account, as the registry counts them. */
  online(account: string): Promise<number>;
  /** The sum of all series of a metric that have these labels. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  stop(): Promise<void>;
}

/** Quick enough for a test, and far from each other. */
const quick: TestSettings = {
  EDGE_NODE_NAME: "test",
  EDGE_HOST: "127.0.0.1",
  EDGE_TCP_PORT: 0,
  EDGE_WS_PORT: 0,
  EDGE_ACCEPTORS: 1,
  EDGE_ALLOW_SHORT_TIMERS: "true",
  EDGE_CLOSE_LINGER_MS: 50,
  EDGE_CONNECTIONS_MAX: 200,
  EDGE_DRAIN_DELAY_MS: 0,
  EDGE_DRAIN_WINDOW_MS: 0,
};

export async function startEdge(options: TestEdgeOptions = {}): Promise<TestEdge> {
  const settings = Object.entries({ ...quick, ...options.settings });
  const environment = Object.fromEntries(settings.map(([name, value]) => [name, String(value)]));
  const { config } = readEdgeConfig(environment, { isEmbedded: true });
  const registry =
    options.registry ?? createMemoryRegistry({ clock: Date, settings: config.registry });
  const hub = options.hub ?? createMemoryHub();
  const bus = hub.bus();
  const upstream = createScriptedUpstream(options.commands);
  const metrics = createMetrics();
  const counts = createEdgeMetrics(metrics);
  const wrapped = options.wrapRegistry?.(registry) ?? registry;
  const clock = options.clock ? { clock: options.clock } : {};
  const rules = options.topicRules ? { topicRules: options.topicRules } : {};
  const log = options.log ?? createSilentLog();
  const asked = (await options.openUpstream?.(counts)) ?? upstream;
  const most = { config, registry: wrapped, bus, upstream: asked, log, counts };
  const given = { ...most, ...clock, ...rules };
  const edge = createEdge(given);
  const { pushes } = edge;
  await edge.start();

  const wires: Wire[] = [];
  const accounts = new Set<string>();
  let isStopped = false;

  return {
    ...{ edge, pushes, config, registry, bus, upstream },
    ...{ url, open, issueToken, online, metric, stop },
    async [Symbol.asyncDispose]() {
      await stop();
      await checkBooks(metrics);
      if (options.checksSeats === false) return;
      for (const account of accounts) {
        const seats = await online(account);
        if (seats > 0) throw new Error(`${seats} seats of ${account} were left behind [I7]`);
      }
    },
  };

  function url(transport: TransportName): string {
    const port = transport === "tcp" ? edge.tcpPort : edge.wsPort;
    return `${transport}://127.0.0.1:${port}${transport === "ws" ? "/v2" : ""}`;
  }

  async function open(transport: TransportName, wireOptions: Partial<WireOptions> = {}) {
    const wire = await openWire({ url: url(transport), ...wireOptions });
    wires.push(wire);
    return wire;
  }

  async function issueToken(account: string, rules: { limit?: number; policy?: Policy } = {}) {
    accounts.add(account);
    const { limit: seatsMax = 1, policy = "displace" } = rules;
    const identity = { account, seatsMax, policy, metadata: {} };
    return (await registry.issue(identity, 60_000)).token;
  }

  async function online(account: string): Promise<number> {
    const identity = { account, seatsMax: 1, policy: "displace", metadata: {} } as const;
    return (await registry.issue(identity, 1)).online;
  }

  async function metric(name: string, labels: Readonly<Record<string, string>> = {}) {
    return sumOf(await metrics.text(), name, labels);
  }

  async function stop(): Promise<void> {
    if (isStopped) return;
    isStopped = true;
    for (const wire of wires) wire.reset();
    await edge.stop();
    metrics.stop();
  }
}

/** What was opened was closed, once; nothing is held for anybody who has gone. [I5] [I6] */
async function checkBooks(metrics: Metrics): Promise<void> {
  const text = await metrics.text();
  const opened = sumOf(text, "holdfast_connections_opened_total");
  const closed = sumOf(text, "holdfast_closes_total");
  if (opened !== closed) throw new Error(`${opened} were opened, ${closed} were closed [I5]`);
  const gauges = ["connections", "logins_owned", "requests_in_flight", "outbound_queue_bytes"];
  gauges.push("body_memory_bytes", "topics", "topic_memberships", "pushes_waiting");
  for (const gauge of gauges) {
    const value = sumOf(text, `holdfast_${gauge}`);
    if (value !== 0) throw new Error(`holdfast_${gauge} is ${value} after the end [I6]`);
  }
}

function sumOf(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return text
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => wanted.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}
