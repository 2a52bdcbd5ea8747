/**
 * Nodes of one cluster in this process that hear pushes over a real NATS: each has a link of its
 * own; the registry and the events between nodes are in memory.
 */

import { createMemoryHub } from "@holdfast/cluster";
import { connectNats, createNatsBus, type NatsLink } from "@holdfast/cluster/nats";
import { createMetrics } from "@holdfast/runtime";
import { type Server, startNats } from "@holdfast/servers";
import { createMemoryRegistry, type SessionRegistry } from "@holdfast/session";
import { createNatsPush, type NatsPush } from "../../src/push/nats-push.ts";
import { createOrderMetrics } from "../../src/push/order-metrics.ts";
import { startEdge, type TestEdge, type TestEdgeOptions } from "./edge.ts";

export interface PushingEdge extends TestEdge {
  readonly link: NatsLink;
  readonly push: NatsPush;
  readonly faults: readonly string[];
  /** The sum of a push metric's series that have these labels. */
  pushMetric(name: string, label?: string): Promise<number>;
}

export interface PushCluster extends AsyncDisposable {
  readonly nats: Server;
  readonly registry: SessionRegistry;
  /** A link of somebody else: an upstream's. */
  readonly outside: NatsLink;
  edge(options?: ClusterEdgeOptions): Promise<PushingEdge>;
}

export interface ClusterEdgeOptions extends TestEdgeOptions {
  /** What pushes to accounts ask, in the place of the registry. */
  readonly seats?: SessionRegistry["seats"];
  readonly keepTopicMs?: number;
}

export async function startPushCluster(): Promise<PushCluster> {
  const nats = await startNats();
  const registry = createMemoryRegistry({ clock: Date });
  const hub = createMemoryHub();
  const stops: (() => Promise<unknown>)[] = [nats.stop];
  const outside = await openLink("outside");
  return { nats, registry, outside, edge, [Symbol.asyncDispose]: stop };

  async function openLink(name: string, faults: string[] = []): Promise<NatsLink> {
    const onFault = (fault: string) => void faults.push(fault);
    const link = await connectNats({ urls: nats.url, name, startTimeoutMs: 5000, onFault });
    stops.push(link.close);
    return link;
  }

  async function edge(options: ClusterEdgeOptions = {}): Promise<PushingEdge> {
    const started = await startEdge({ registry, hub, ...options });
    stops.push(async () => started[Symbol.asyncDispose]());
    const faults: string[] = [];
    const link = await openLink(started.edge.id, faults);
    const metrics = createMetrics();
    const push = createNatsPush({
      link,
      pushes: started.pushes,
      registry: { seats: options.seats ?? registry.seats },
      nodeId: started.edge.id,
      keepTopicMs: options.keepTopicMs ?? 50,
      onFault: (fault, error) => void faults.push(`${fault}: ${String(error)}`),
      metrics: createOrderMetrics(metrics, () => push.topicSubscriptions),
    });
    await push.start();
    stops.push(async () => push.stop());
    const onFault = (fault: string) => void faults.push(fault);
    const bus = createNatsBus({ connection: link, onFault, onPush: push.hearNode });
    await bus.subscribe(started.edge.id, () => faults.push("an event out of nowhere"));
    return { ...started, link, push, faults, pushMetric };

    async function pushMetric(name: string, label = ""): Promise<number> {
      const lines = (await metrics.text()).split("\n");
      return lines
        .filter((line) => line.startsWith(`${name}{`) && line.includes(label))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
    }
  }

  async function stop(): Promise<void> {
    for (const end of stops.splice(0).toReversed()) await end();
  }
}
