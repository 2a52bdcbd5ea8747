/**
 * For tests of requests over NATS: one real nats-server, raw clients in the place of upstreams, and
 * nodes in this process that ask them.
 */
import type { Wire, WireOptions } from "@holdfast/client/wire";
import { connectNats, type NatsLink } from "@holdfast/cluster/nats";
import { createLog, systemClock } from "@holdfast/runtime";
import { type Server, startNats } from "@holdfast/servers";
import { connect, type Msg, type NatsConnection, type SubscriptionOptions } from "nats";
import { createNatsUpstream, type NatsUpstream } from "../../src/upstream/nats.ts";
import { parseRoutes } from "../../src/upstream/route-file.ts";
import { createArrivals, until } from "./arrivals.ts";
import { startEdge, type TestEdgeOptions, type TransportName } from "./edge.ts";
import { accepted, auth } from "./packets.ts";

export interface RigEdgeOptions extends TestEdgeOptions {
  /** The file of EDGE_ROUTES_FILE. */
  readonly routes?: unknown;
}

export type Answer = (message: Msg) => void;
export type Rig = Awaited<ReturnType<typeof startRig>>;

/** `config` is the text of the server's configuration. */
export async function startRig(config?: string) {
  const server = await startNats(config === undefined ? {} : { config });
  const client = await connectRaw(server);

  return {
    server,
    client,
    edge: (options: RigEdgeOptions = {}) => openEdge(server, options),
    upstream: (subject: string, answer: Answer, options?: SubscriptionOptions) =>
      subscribe(client, subject, answer, options),
    connectRaw: () => connectRaw(server),
    async stop() {
      await client.close();
      await server.stop();
    },
  };
}

function connectRaw(server: Server): Promise<NatsConnection> {
  return connect({
    ...{ servers: server.url, maxReconnectAttempts: -1 },
    ...{ reconnectTimeWait: 50, reconnectJitter: 0, ignoreAuthErrorAbort: true },
  });
}

/** Resolves when the server knows of it. */
export async function subscribe(
  client: NatsConnection,
  subject: string,
  answer: Answer,
  options: SubscriptionOptions = {},
) {
  const arrivals = createArrivals<Msg>(`a request on ${subject}`);
  const subscription = client.subscribe(subject, {
    ...options,
    callback(error, message) {
      if (error) throw error;
      arrivals.put(message);
      answer(message);
    },
  });
  await client.flush();
  return { next: arrivals.next, [Symbol.dispose]: () => subscription.unsubscribe() };
}

async function openEdge(server: Server, options: RigEdgeOptions) {
  const faults: string[] = [];
  const lines: string[] = [];
  const nodeId = `rig-${crypto.randomUUID()}`;
  const onFault = (fault: string) => void faults.push(fault);
  const link: NatsLink = await connectNats({
    ...{ urls: server.url, name: nodeId, startTimeoutMs: 5000, onFault },
  });
  const { routes, topicRules } = parseRoutes(JSON.stringify(options.routes ?? {}), "hf");
  let upstream: NatsUpstream | null = null;
  const edge = await startEdge({
    ...options,
    topicRules,
    log: createLog({
      service: "edge",
      node: nodeId,
      level: "warn",
      write: (line) => lines.push(line),
    }),
    async openUpstream({ replyDropped: onDropped, watchPayloadLimit }) {
      watchPayloadLimit(() => link.payloadBytesMax);
      upstream = createNatsUpstream({
        link,
        routes,
        nodeId,
        clock: systemClock,
        onFault,
        onDropped,
      });
      await upstream.start();
      return upstream;
    },
  });
  let accounts = 0;

  return {
    ...{ ...edge, link, faults, nodeId },
    /** What was logged, as JSON. */
    logged: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>),
    async login(
      transport: TransportName,
      account = `rig-${++accounts}`,
      wireOptions: Partial<WireOptions> = {},
    ): Promise<Wire> {
      const wire = await edge.open(transport, wireOptions);
      accepted(await auth(wire, await edge.issueToken(account)));
      return wire;
    },
    /** Resolves when the metric has the value. */
    counted: (name: string, labels: Readonly<Record<string, string>>, value: number) =>
      until(async () => (await edge.metric(name, labels)) === value, `${name} is ${value}`),
    async [Symbol.asyncDispose]() {
      await edge[Symbol.asyncDispose]();
      upstream?.stop();
      await link.close();
    },
  };
}
