/**
 * A node with its admin port, as parts of a process: what `main.ts` runs on Redis and NATS, and the
 * development cluster runs several times inside one process.
 */
import type { ClusterBus } from "@holdfast/cluster";
import { createMetrics, type Log, type Metrics, type Part } from "@holdfast/runtime";
import type { DrainTurn, NodeLedger, SessionRegistry } from "@holdfast/session";
import { createEdgeAdmin, type EdgeAdmin } from "./admin.ts";
import type { EdgeConfig } from "./config.ts";
import { createEdge, type Edge } from "./edge.ts";
import { createEdgeMetrics, type EdgeMetrics } from "./metrics.ts";
import type { TopicRule } from "./push/topic-rules.ts";
import type { Upstream } from "./upstream/upstream.ts";

export interface EdgeServiceOptions {
  readonly config: EdgeConfig;
  readonly registry: SessionRegistry;
  readonly ledger: NodeLedger;
  readonly bus: ClusterBus;
  readonly upstream: Upstream;
  readonly topicRules?: readonly TopicRule[];
  readonly log: Log;
  /** Both made by the caller when adapters count into them, too; otherwise neither. */
  readonly metrics?: Metrics;
  readonly counts?: EdgeMetrics;
  /** Started by the caller, before what the node stands on; otherwise it is one of the parts. */
  readonly admin?: EdgeAdmin;
  /** Lets one node after the other drain. */
  readonly turn: DrainTurn;
  readonly isRedisUp?: () => boolean;
  readonly isNatsUp?: () => boolean;
  /** Ends the process as a signal would; called once, when an operator asked for a drain. */
  readonly stop: (reason: string) => void;
}

export interface EdgeService {
  readonly edge: Edge;
  readonly adminPort: number; // valid once started
  /** In the order of their start. */
  readonly parts: readonly Part[];
  drain(): Promise<void>;
}

/** A fleet takes its time: a drain in turn is given up after this. */
const turnWaitMs = 4 * 60 * 60 * 1000;

export function createEdgeService(options: EdgeServiceOptions): EdgeService {
  const { config, log, turn, bus } = options;
  const metrics = options.metrics ?? createMetrics();
  const counts = options.counts ?? createEdgeMetrics(metrics);
  const edge = createEdge({ ...options, counts, onDrainAsked });
  const admin = options.admin ?? createEdgeAdmin(config, metrics);
  admin.attach({ readiness: edge.readiness, drain: drainAction });
  let isAsked = false;

  return {
    edge,
    get adminPort() {
      return admin.port;
    },
    parts: [...(options.admin ? [] : [admin.part]), { name: "edge", start, stop: edge.stop }],
    drain,
  };

  async function start(): Promise<void> {
    await edge.start();
    const { id, tcpPort, wsPort } = edge;
    log.info("listening", { id, tcp: tcpPort, ws: wsPort, admin: admin.port });
  }

  /**
   * POST /drain drains this node; with `?nodes=all` every node, one after the other, or with
   * `&force=true` all at once. Answers 202 at once.
   */
  async function drainAction(request: Request): Promise<Response> {
    const asked = new URL(request.url).searchParams;
    const nodes = asked.get("nodes") ?? "this";
    const isForced = asked.get("force") === "true";
    if (nodes !== "this" && nodes !== "all") {
      return Response.json({ error: "nodes must be this or all" }, { status: 400 });
    }
    if (nodes === "this") onDrainAsked(false);
    else if (!bus.publish("all", { type: "drain", inTurn: !isForced })) {
      return Response.json({ error: "the other nodes cannot be reached" }, { status: 503 });
    }
    return Response.json({ draining: nodes, force: isForced }, { status: 202 });
  }

  function onDrainAsked(inTurn: boolean): void {
    if (isAsked) return;
    isAsked = true;
    log.info("drain_asked", { in_turn: inTurn });
    if (inTurn) void drainInTurn();
    else options.stop("drain");
  }

  async function drainInTurn(): Promise<void> {
    if (await turn.wait(edge.id, config.drainDeadlineMs, turnWaitMs)) {
      options.stop("drain in turn");
      return;
    }
    isAsked = false;
    log.warn("drain_given_up", { reason: `its turn did not come within ${turnWaitMs} ms` });
  }

  async function drain(): Promise<void> {
    await edge.drain();
    await turn.give(edge.id);
  }
}
