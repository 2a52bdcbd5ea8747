/**
 * One node: joins transports, peers, the registry and the bus; starts, drains, stops. It opens no
 * connection to Redis or NATS itself, and knows no process.
 */
import { randomBytes } from "node:crypto";
import type { ClusterBus, ClusterEvent } from "@holdfast/cluster";
import { type Clock, type Log, systemClock } from "@holdfast/runtime";
import type { NodeLedger, SessionRegistry } from "@holdfast/session";
import { createAddressLimits } from "./address-limits.ts";
import { createAdmission } from "./admission.ts";
import { createCompression } from "./compression.ts";
import type { EdgeConfig } from "./config.ts";
import { createDeadlines } from "./deadlines.ts";
import { held, messageBytesMax, readOn, receive, release } from "./dispatch.ts";
import { drainPeers } from "./drain.ts";
import { createFaults } from "./faults.ts";
import { createFence } from "./fence.ts";
import { alive, leaving, textMessage } from "./frames.ts";
import { gate, gateOfUpgrade, isFull } from "./gate.ts";
import { closeEnded, closeLosers } from "./handlers/losers.ts";
import { heartTimes } from "./heart.ts";
import { createHub } from "./hub.ts";
import { createInflating } from "./inflating.ts";
import { createInflow } from "./inflow.ts";
import { type ConnectEvent, createKicks, kickTickMs } from "./kicks.ts";
import { createSweep, sweepIntervalMs } from "./liveness.ts";
import { createLoginLimits } from "./login-limits.ts";
import type { EdgeMetrics } from "./metrics.ts";
import type { EdgeNode } from "./node.ts";
import { packetLimits } from "./packet-limits.ts";
import { agree, close, gone, Peer } from "./peer.ts";
import { createPushes, type Pushes, pushTickMs } from "./push/pushes.ts";
import type { TopicRule } from "./push/topic-rules.ts";
import { createRequestRates } from "./request-rates.ts";
import { createSeats } from "./seats.ts";
import { boundRegistry } from "./store-lane.ts";
import { createTcpTransport } from "./transport/tcp.ts";
import type { ConnectionEvents, Origin, OutboundBudget, Transport } from "./transport/transport.ts";
import { createWsTransport } from "./transport/ws.ts";
import type { Upstream } from "./upstream/upstream.ts";
import { createWatchdog } from "./watchdog.ts";

export interface EdgeOptions {
  readonly config: EdgeConfig;
  readonly registry: SessionRegistry;
  readonly bus: ClusterBus;
  readonly upstream: Upstream;
  /** Lets other nodes tell of this one's seats when it dies, and this one of theirs. */
  readonly ledger?: NodeLedger;
  readonly log: Log;
  readonly counts: EdgeMetrics;
  readonly clock?: Clock;
  readonly isRedisUp?: () => boolean;
  readonly isNatsUp?: () => boolean;
  /** What topics do with slow clients; the first that matches. Default: they are closed. */
  readonly topicRules?: readonly TopicRule[];
  /** An operator asked over the bus; `inTurn`: one node after the other. */
  readonly onDrainAsked?: (inTurn: boolean) => void;
}

export interface Edge {
  readonly id: string;
  readonly tcpPort: number; // valid once started
  readonly wsPort: number;
  readonly connections: number;
  /** For whoever brings pushes to this node. */
  readonly pushes: Pushes;
  /** As it was given, a few calls at a time. */
  readonly registry: SessionRegistry;
  /** Not ready: starting, draining or stopped, or alone in not reaching the store. */
  readiness(): { readonly ready: boolean; readonly reasons: readonly string[] };
  start(): Promise<void>;
  /** Not ready at once; after a delay the listeners close, then everyone is closed. Once. */
  drain(): Promise<void>;
  /** Closes what is left and the ports. May be called twice. */
  stop(): Promise<void>;
}

export function createEdge(options: EdgeOptions): Edge {
  const { config, log, clock = systemClock } = options;
  const node = createNode(options, clock);
  const budget = node.outbound;
  const isRedisUp = options.isRedisUp ?? (() => true);
  const transports = createTransports(node, budget, isRedisUp);
  const stops: (() => void | Promise<void>)[] = [];
  let stage: "starting" | "running" | "draining" | "stopped" = "starting";
  let drainStartedMs = 0;
  let draining: Promise<void> | null = null;

  node.metrics.watchAdmission({
    loginsWaiting: () => node.admission.waiting,
    storeCalls: (lane) =>
      lane === "other"
        ? node.registry.lane
        : { inFlight: node.admission.inFlight, peak: node.admission.inFlightPeak },
  });
  node.metrics.watch({
    counts: () => node.hub.counts,
    connectionsMax: config.connectionsMax,
    seats: () => node.hub.counts.tcp.ready + node.hub.counts.ws.ready,
    accountsLimited: () => node.rates.accounts,
    accountsLoggingIn: () => node.loginLimits.accounts,
    addressesLimited: () => node.addresses.keys,
    callsInFlight: () => node.deadlines.size,
    outboundBytes: () => budget.nodeBytes,
    bodyBytes: () => node.bodyBytes,
    inboundPaused: () => node.inflow.paused,
    strangersWaiting: () => node.inflow.strangersWaiting,
    inflating: () => node.inflating.size,
    topics: () => node.pushes.topics.size,
    topicMemberships: () => node.pushes.memberships,
    pushesWaiting: () => node.pushes.waiting,
    isRedisUp,
    isNatsUp: options.isNatsUp ?? (() => options.bus.isConnected()),
    isDraining: () => stage === "draining",
    drainElapsedSeconds: () =>
      drainStartedMs === 0 ? 0 : (clock.monotonic() - drainStartedMs) / 1000,
    drainWindowSeconds: config.drainWindowMs / 1000,
    renewedAtMs: () => node.seats.renewedAtMs,
    kicksPending: () => node.kicks.size,
    fenceState: () => node.fence.state,
    leaseRemainingMs: () => node.fence.leaseRemainingMs(),
  });

  return {
    id: node.id,
    get tcpPort() {
      return transports.tcp.port;
    },
    get wsPort() {
      return transports.ws.port;
    },
    get connections() {
      return node.hub.sockets;
    },
    pushes: node.pushes,
    registry: node.registry,
    readiness() {
      const reason = stage === "running" ? node.fence.unreadyReason : stage;
      return reason === null ? { ready: true, reasons: [] } : { ready: false, reasons: [reason] };
    },
    start,
    drain: () => (draining ??= drain()),
    stop,
  };

  async function start(): Promise<void> {
    stops.push(await options.bus.subscribe(node.id, (event) => told(node, event, options), answer));
    const sweep = createSweep(node);
    stops.push(clock.every(sweepIntervalMs, () => guarded(() => tick(sweep))));
    const { deadlines, pushes, admission, inflow } = node;
    const expire = () => {
      const nowMs = clock.monotonic();
      deadlines.tick(nowMs);
      admission.tick(nowMs);
      inflow.tick(nowMs);
    };
    stops.push(clock.every(deadlines.intervalMs, () => guarded(expire)));
    stops.push(clock.every(pushTickMs, () => guarded(pushes.tick)));
    stops.push(clock.every(kickTickMs, () => guarded(node.kicks.tick)));
    stops.push(
      clock.every(jittered(config.renewIntervalMs), () => {
        void node.seats.beat(); // before the leases it speaks of are written
        void node.seats.renew();
      }),
    );
    const { pulseMs } = heartTimes(config);
    stops.push(clock.every(jittered(pulseMs), () => void node.seats.pulse()));
    await node.seats.beat(); // others know of this node before it takes a seat
    await node.seats.pulse();
    await transports.tcp.start();
    await transports.ws.start();
    stage = "running";
  }

  function tick(sweep: (nowMs: number) => void): void {
    const nowMs = clock.monotonic();
    node.watchdog.tick(nowMs);
    node.fence.tick();
    sweep(nowMs);
    transports.tcp.sweep(nowMs);
    transports.ws.sweep(nowMs);
  }

  /** What other nodes ask: whether this one is there, and reaches the store. */
  function answer(): { readonly reachingMs: number } {
    return { reachingMs: node.seats.reachingMs() };
  }

  function guarded(act: () => void): void {
    try {
      act();
    } catch (error) {
      node.metrics.exception("timer");
      log.error("timer_failed", { error: error instanceof Error ? error.stack : String(error) });
    }
  }

  async function drain(): Promise<void> {
    stage = "draining";
    drainStartedMs = clock.monotonic();
    log.info("drain_started", { connections: node.hub.sockets });
    // The load balancer has to notice first; until then everyone is served.
    await clock.sleep(config.drainDelayMs);
    node.isDraining = true;
    transports.tcp.suspend();
    transports.ws.suspend();
    await drainPeers(node);
    await lingered();
    await node.seats.settle(settleMs);
    log.info("drain_finished", { seconds: (clock.monotonic() - drainStartedMs) / 1000 });
  }

  /** The last bytes of the last connections are on their way. */
  async function lingered(): Promise<void> {
    const untilMs = clock.monotonic() + config.closeLingerMs + 2 * sweepIntervalMs;
    const isBusy = () =>
      node.hub.sockets > 0 || transports.tcp.isLingering() || transports.ws.isLingering();
    while (isBusy() && clock.monotonic() < untilMs) await clock.sleep(10);
  }

  async function stop(): Promise<void> {
    stage = "stopped";
    node.isDraining = true;
    transports.tcp.suspend();
    transports.ws.suspend();
    for (const peer of node.hub.peers.values()) close(peer, "serverShutdown");
    await lingered();
    await transports.tcp.stop();
    await transports.ws.stop();
    await node.seats.settle(settleMs);
    for (const end of stops.splice(0)) await end();
    await node.seats.end();
  }
}

const settleMs = 2000;

/** Nodes that started together shall not renew together. */
function jittered(intervalMs: number): number {
  return intervalMs * (0.9 + 0.2 * Math.random());
}

/** What other nodes and operators say to this one. */
function told(node: EdgeNode, event: ClusterEvent, options: EdgeOptions): void {
  switch (event.type) {
    case "connect": {
      const settled = closeLosers(node, event, node.clock.now() - event.atMs);
      if (event.ack && settled.length > 0) acknowledge(node, event, settled);
      return;
    }
    case "acked":
      node.kicks.acked(event);
      return;
    case "ended":
      closeEnded(node, event.losers);
      return;
    case "drain":
      options.onDrainAsked?.(event.inTurn);
      return;
    default:
      event satisfies never;
  }
}

/** Whoever is not here has gone: connection ids are never used again. */
function acknowledge(node: EdgeNode, { by }: ConnectEvent, connections: readonly string[]): void {
  node.bus.publish(by.node, { type: "acked", node: node.id, by: by.connection, connections });
}

function createNode(options: EdgeOptions, clock: Clock): EdgeNode {
  const { config } = options;
  const outbound: OutboundBudget = {
    connectionBytesMax: config.outboundBytesMax,
    connectionPacketsMax: config.outboundPacketsMax,
    nodeBytesMax: config.nodeOutboundBytesMax,
    nodeBytes: 0,
  };
  const rules = options.topicRules ?? [];
  const addresses = createAddressLimits(config, clock);
  const node: EdgeNode = {
    id: config.nodeId,
    config,
    clock,
    log: options.log,
    metrics: options.counts,
    registry: boundRegistry(options.registry, config.redisInFlightMax),
    bus: options.bus,
    upstream: options.upstream,
    hub: createHub(),
    seats: createSeats(() => node, options.ledger),
    kicks: createKicks(() => node),
    fence: createFence(() => node),
    watchdog: createWatchdog(() => node, clock.monotonic(), release),
    deadlines: createDeadlines(clock.monotonic()),
    rates: createRequestRates(config),
    inflating: createInflating(),
    inflow: createInflow({
      ...{ settings: config, metrics: options.counts, now: () => clock.monotonic() },
      ...{ nextTurn: setImmediate, readOn },
    }),
    admission: createAdmission({
      ...{ settings: config, metrics: options.counts, now: () => clock.monotonic() },
      isStoreUp: options.isRedisUp ?? (() => true),
    }),
    addresses,
    loginLimits: createLoginLimits(config, addresses, clock),
    pushes: createPushes(() => node, { rules, limits: config, outbound }),
    compress: createCompression({
      gzipMinBytes: config.gzipMinBytes,
      cpuPercent: config.gzipCpuPercent,
      now: () => performance.now(), // the clock of deadlines counts whole milliseconds
      skipped: options.counts.compressionSkipped,
    }),
    outbound,
    credentialKey: randomBytes(32),
    limits: packetLimits(config),
    arriving: { count: 0 },
    bodyBytes: 0,
    isDraining: false,
  };
  return node;
}

function createTransports(
  node: EdgeNode,
  budget: OutboundBudget,
  isRedisUp: () => boolean,
): { readonly tcp: Transport; readonly ws: Transport } {
  const { config } = node;
  const shared = {
    host: config.host ?? "0.0.0.0",
    acceptors: config.acceptors,
    closeLingerMs: config.closeLingerMs,
    budget,
    arriving: node.arriving,
    isFull: () => isFull(node),
    gate: (_: "tcp" | "ws", origin: Origin) => gate(node, origin),
    events: createEvents(node),
    faults: createFaults(node),
    now: () => node.clock.monotonic(),
  };
  const tcp = createTcpTransport<Peer>({ ...shared, port: config.tcpPort });
  const ws = createWsTransport<Peer>({
    ...shared,
    port: config.wsPort,
    rules: { paths: config.wsPaths, origins: config.wsOrigins },
    leastMessageBytes: node.limits.login.messageBytesMax,
    handshakeTimeoutMs: config.handshakeTimeoutMs,
    retryAfterSeconds: config.retryAfterSeconds,
    turnedAwayMax: config.wsRefusalsMax,
    gateOfUpgrade: () => gateOfUpgrade(node, isRedisUp()),
  });
  return { tcp, ws };
}

function createEvents(node: EdgeNode): ConnectionEvents<Peer> {
  return {
    opened(connection) {
      node.metrics.opened(connection.transport);
      return new Peer(node, connection, null);
    },
    upgraded: agree,
    begins: (peer, bytes) => node.inflow.begin(peer, bytes),
    data: receive,
    ends: node.inflow.end,
    frame(peer, isControl) {
      if (isControl) node.inflow.packet(peer);
      else node.inflow.fragment(peer); // its message is a packet
    },
    messageBytesMax,
    held,
    text: textMessage,
    alive,
    leaving,
    drained: node.pushes.drained,
    closed: gone,
  };
}
