/**
 * Every metric of the edge, declared once: docs/operations.md has the same list. Nothing here
 * carries an account, a session, a connection or an address. Cells are made once and kept, since
 * looking one up costs more than counting.
 */
import { closeCodeNames, type Ending } from "@holdfast/protocol";
import type { CounterCell, HistogramCell, Metrics } from "@holdfast/runtime";
import type { StoreFault } from "@holdfast/session";
import { admissionMetrics } from "./admission-metrics.ts";
import { type FenceReadings, fenceMetrics, watchFence } from "./fence-metrics.ts";
import type { Counts } from "./hub.ts";
import { pushMetrics } from "./push/push-metrics.ts";
import { requestMetrics } from "./request-metrics.ts";

type TransportName = "tcp" | "ws";
type PacketKind = "request" | "response" | "push" | "control";
export type LoginKind = "auth" | "reconnect";
export type LoginOutcome =
  | "ok"
  | "unknown"
  | "expired"
  | "token_replayed"
  | "epoch_stale"
  | "session_stolen"
  | "overtaken"
  | "limit"
  | "rate_limited"
  | "unavailable";
const transports = ["tcp", "ws"] as const;
const authBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const sizeBuckets = [64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216];

/** What is read when somebody collects. */
export interface EdgeReadings extends FenceReadings {
  readonly counts: () => Counts;
  readonly connectionsMax: number;
  readonly seats: () => number;
  readonly callsInFlight: () => number;
  readonly accountsLimited: () => number;
  readonly accountsLoggingIn: () => number;
  readonly addressesLimited: () => number;
  readonly outboundBytes: () => number;
  readonly bodyBytes: () => number;
  readonly inboundPaused: () => number;
  readonly strangersWaiting: () => number;
  readonly inflating: () => number;
  readonly topics: () => number;
  readonly topicMemberships: () => number;
  readonly pushesWaiting: () => number;
  readonly isRedisUp: () => boolean;
  readonly isNatsUp: () => boolean;
  readonly isDraining: () => boolean;
  readonly drainElapsedSeconds: () => number;
  readonly drainWindowSeconds: number;
  readonly renewedAtMs: () => number;
}

export type EdgeMetrics = ReturnType<typeof createEdgeMetrics>;

export function createEdgeMetrics(metrics: Metrics) {
  return {
    ...connectionMetrics(metrics),
    ...packetMetrics(metrics),
    ...loginMetrics(metrics),
    ...admissionMetrics(metrics),
    ...requestMetrics(metrics),
    ...pushMetrics(metrics),
    ...faultMetrics(metrics),
    ...fenceMetrics(metrics),
    /** Gauges that are read from the node; called once, when the node exists. */
    watch: (readings: EdgeReadings) => watch(metrics, readings),
  };
}

function connectionMetrics(metrics: Metrics) {
  const opened = metrics.counter({
    name: "holdfast_connections_opened_total",
    help: "Connections accepted; its rate is the storm signal",
    labels: ["transport"],
  });
  const rejected = metrics.counter({
    name: "holdfast_connections_rejected_total",
    help: "Connections refused before a login exists",
    labels: ["transport", "reason"],
  });
  const closes = metrics.counter({
    name: "holdfast_closes_total",
    help: "Every end of a connection, once, by what its peer was told and who ended it",
    labels: ["transport", "code", "by"],
  });
  const duration = metrics.histogram({
    name: "holdfast_connection_duration_seconds",
    help: "Life of a closed connection",
    buckets: [1, 10, 60, 300, 1800, 7200, 28800, 86400],
    labels: ["transport"],
  });
  const slow = metrics.counter({
    name: "holdfast_slow_consumers_closed_total",
    help: "Connections closed because they did not read what was sent to them",
    labels: ["transport"],
  });
  const handshake = metrics.histogram({
    name: "holdfast_handshake_duration_seconds",
    help: "From the accepted connection to its handshake (protocol) and to its login (auth)",
    buckets: [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    labels: ["transport", "phase"],
  });
  const cut = metrics.counter({
    name: "holdfast_refusals_cut_total",
    help: "WebSocket clients refused without their 503, as too many waited for it",
  });
  for (const transport of transports) {
    opened.labels({ transport });
    rejected.labels({ transport, reason: "admission" }); // an alert adds it to another
  }
  const lives = byTransport((transport) => duration.labels({ transport }));
  const opens = byTransport((transport) => opened.labels({ transport }));
  const slows = byTransport((transport) => slow.labels({ transport }));
  return {
    opened: (transport: TransportName) => opens[transport].inc(),
    rejected: (transport: TransportName, reason: string) =>
      rejected.labels({ transport, reason }).inc(),
    refusalCut: () => cut.inc(),
    closed(transport: TransportName, ending: Ending) {
      const code = ending.code === null ? "none" : closeCodeNames[ending.code];
      closes.labels({ transport, code, by: ending.by }).inc();
    },
    lived: (transport: TransportName, lifeMs: number) => lives[transport].observe(lifeMs / 1000),
    slowConsumer: (transport: TransportName) => slows[transport].inc(),
    entered: (transport: TransportName, phase: "protocol" | "auth", ms: number) =>
      handshake.labels({ transport, phase }).observe(ms / 1000),
  };
}

function packetMetrics(metrics: Metrics) {
  const packets = metrics.counter({
    name: "holdfast_packets_total",
    help: "Packets read and written",
    labels: ["transport", "direction", "kind"],
  });
  const bytes = metrics.counter({
    name: "holdfast_bytes_total",
    help: "Bytes of packets on the wire",
    labels: ["transport", "direction"],
  });
  const sizes = metrics.histogram({
    name: "holdfast_packet_size_bytes",
    help: "Size of packet bodies, inflated",
    buckets: sizeBuckets,
    labels: ["direction"],
  });
  const decodeErrors = metrics.counter({
    name: "holdfast_decode_errors_total",
    help: "Bytes that were not a packet: an attack or a broken client",
    labels: ["transport", "reason"],
  });
  const paused = metrics.counter({
    name: "holdfast_inbound_paused_total",
    help: "Times a connection was not read for a while, as it had sent more than it may",
    labels: ["transport", "limit"],
  });
  for (const transport of transports) {
    for (const limit of ["bytes", "packets"]) paused.labels({ transport, limit });
  }
  const roundTrip = metrics.histogram({
    name: "holdfast_heartbeat_round_trip_seconds",
    help: "From our heartbeat or ping to its answer",
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
    labels: ["transport"],
  });
  const read = byTransport((transport) => cells(packets, transport, "in"));
  const written = byTransport((transport) => cells(packets, transport, "out"));
  const bytesIn = byTransport((transport) => bytes.labels({ transport, direction: "in" }));
  const bytesOut = byTransport((transport) => bytes.labels({ transport, direction: "out" }));
  const sizeIn = sizes.labels({ direction: "in" });
  const sizeOut = sizes.labels({ direction: "out" });
  const trips = byTransport((transport) => roundTrip.labels({ transport }));
  return {
    received(transport: TransportName, kind: PacketKind, bodyBytes: number) {
      read[transport][kind].inc();
      sizeIn.observe(bodyBytes);
    },
    sent(transport: TransportName, kind: PacketKind, bodyBytes: number) {
      written[transport][kind].inc();
      sizeOut.observe(bodyBytes);
    },
    inboundPaused: (transport: TransportName, limit: "bytes" | "packets") =>
      paused.labels({ transport, limit }).inc(),
    bytesRead: (transport: TransportName, count: number) => bytesIn[transport].inc(count),
    bytesWritten: (transport: TransportName, count: number) => bytesOut[transport].inc(count),
    decodeError: (transport: TransportName, reason: string) =>
      decodeErrors.labels({ transport, reason }).inc(),
    roundTrip: (transport: TransportName, ms: number) => trips[transport].observe(ms / 1000),
  };
}

function cells(
  packets: { labels(values: Record<"transport" | "direction" | "kind", string>): CounterCell },
  transport: TransportName,
  direction: "in" | "out",
): Record<PacketKind, CounterCell> {
  const cell = (kind: PacketKind) => packets.labels({ transport, direction, kind });
  return {
    request: cell("request"),
    response: cell("response"),
    push: cell("push"),
    control: cell("control"),
  };
}

function loginMetrics(metrics: Metrics) {
  const logins = metrics.counter({
    name: "holdfast_auth_total",
    help: "Logins decided, by kind and outcome",
    labels: ["kind", "outcome"],
  });
  const duration = metrics.histogram({
    name: "holdfast_auth_duration_seconds",
    help: "From a login's packet to its answer",
    buckets: authBuckets,
    labels: ["kind"],
  });
  const duplicates = metrics.counter({
    name: "holdfast_duplicate_closes_total",
    help: "Older connections closed because of a newer one, by what found them",
    labels: ["found_by"],
  });
  const delay = metrics.histogram({
    name: "holdfast_duplicate_close_delay_seconds",
    help: "How long an older connection outlived the newer one's answer",
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 6, 12, 30, 50, 60],
  });
  const renewal = metrics.histogram({
    name: "holdfast_reconcile_duration_seconds",
    help: "One pass over all seats of the node",
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  });
  const repairs = metrics.counter({
    name: "holdfast_reconcile_repairs_total",
    help: "What a pass found wrong; outside faults, look for a bug",
    labels: ["action"],
  });
  const lapsed = metrics.counter({
    name: "holdfast_seats_lapsed_total",
    help: "Seats of nodes that died or were cut off, found and told by this node",
    labels: ["cause"],
  });
  for (const cause of ["lapsed", "dead"] as const) lapsed.labels({ cause });
  const alias = metrics.counter({
    name: "holdfast_session_alias_used_total",
    help: "Reconnects with the previous session id: a lost answer, or a stolen id",
  });
  return {
    aliasUsed: () => alias.inc(),
    seatLapsed: (cause: "lapsed" | "dead") => lapsed.labels({ cause }).inc(),
    login(kind: LoginKind, outcome: LoginOutcome, ms: number) {
      logins.labels({ kind, outcome }).inc();
      duration.labels({ kind }).observe(ms / 1000);
    },
    duplicateClosed(foundBy: "event" | "reconcile" | "resume", delayMs: number | null) {
      duplicates.labels({ found_by: foundBy }).inc();
      if (delayMs !== null) delay.observe(Math.max(0, delayMs) / 1000);
    },
    renewed: (ms: number) => renewal.observe(ms / 1000),
    repaired: (action: "closed" | "reasserted") => repairs.labels({ action }).inc(),
  };
}

function faultMetrics(metrics: Metrics) {
  const exceptions = metrics.counter({
    name: "holdfast_exceptions_total",
    help: "Internal errors that were caught; each is a bug to report",
    labels: ["where"],
  });
  const dependency = metrics.counter({
    name: "holdfast_dependency_errors_total",
    help: "Calls to Redis or NATS that failed",
    labels: ["dependency", "reason"],
  });
  const duration = metrics.histogram({
    name: "holdfast_dependency_duration_seconds",
    help: "Calls to Redis that somebody waited for, by what they were for",
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
    labels: ["dependency", "op"],
  });
  return {
    redisTook: (op: "redeem" | "own" | "reconcile", ms: number) =>
      duration.labels({ dependency: "redis", op }).observe(ms / 1000),
    exception: (where: "packet" | "timer" | "redis" | "nats" | "http") =>
      exceptions.labels({ where }).inc(),
    redisFailed: (reason: StoreFault) => dependency.labels({ dependency: "redis", reason }).inc(),
    natsFailed: (reason: string) => dependency.labels({ dependency: "nats", reason }).inc(),
    redisEpochs: metrics.counter({
      name: "holdfast_redis_epoch_changes_total",
      help: "Failovers and restarts of Redis that were seen; each voids the unused tokens",
    }),
    watchRedisClock: (offsetMs: () => number | null) =>
      metrics.gauge({
        name: "holdfast_redis_clock_offset_seconds",
        help: "How far the clock of this node is ahead of that of Redis; NaN: not known",
        read: () => (offsetMs() ?? Number.NaN) / 1000,
      }),
    redisUnguarded: metrics.gauge({
      name: "holdfast_redis_unguarded_primaries",
      help: "Primaries with replicas that write without any: set min-replicas-to-write 1",
    }),
    natsReconnects: metrics.counter({
      name: "holdfast_nats_reconnects_total",
      help: "Times the connection to NATS came back",
    }),
  };
}

function watch(metrics: Metrics, readings: EdgeReadings): void {
  watchFence(metrics, readings);
  const connections = metrics.gauge({
    name: "holdfast_connections",
    help: "Open connections; draining ones have been told Close",
    labels: ["transport", "state"],
    read: ({ transport, state }: Record<"transport" | "state", string>) => {
      const counts = readings.counts()[transport as TransportName];
      return counts[state as keyof typeof counts];
    },
  });
  for (const transport of transports) {
    for (const state of ["handshake", "unauthenticated", "ready", "draining"]) {
      connections.labels({ transport, state });
    }
  }
  const gauge = (name: string, help: string, read: () => number) =>
    metrics.gauge({ name: `holdfast_${name}`, help, read });
  gauge("connections_limit", "Most connections at once", () => readings.connectionsMax);
  gauge("logins_owned", "Logins whose connection is on this node", readings.seats);
  gauge("requests_in_flight", "Requests that wait for an upstream", readings.callsInFlight);
  gauge("outbound_queue_bytes", "Bytes that wait for clients to read", readings.outboundBytes);
  gauge("body_memory_bytes", "Bodies being assembled or awaiting an answer", readings.bodyBytes);
  gauge("inflating", "Large bodies being inflated, or waiting for it", readings.inflating);
  gauge("inbound_paused", "Connections not read now, as over their limit", readings.inboundPaused);
  gauge("strangers_waiting", "Not logged in, and waiting to be heard", readings.strangersWaiting);
  gauge("topics", "Topics with a member on this node", readings.topics);
  gauge("topic_memberships", "Connections in topics, of all topics", readings.topicMemberships);
  gauge("pushes_waiting", "Pushes held back for slow clients or by a pace", readings.pushesWaiting);
  gauge("draining", "1 from the signal on", () => Number(readings.isDraining()));
  gauge("drain_elapsed_seconds", "Since the drain began; 0: none", readings.drainElapsedSeconds);
  gauge("drain_window_seconds", "Time set for closing all", () => readings.drainWindowSeconds);
  gauge(
    "reconcile_last_success_timestamp_seconds",
    "When all seats were last checked in Redis",
    () => readings.renewedAtMs() / 1000,
  );
  const keys = metrics.gauge({
    name: "holdfast_rate_limiter_keys",
    help: "Accounts whose requests, accounts whose logins, and addresses that this node counts",
    labels: ["scope"],
    read: ({ scope }: Record<"scope", string>) => {
      if (scope === "account") return readings.accountsLimited();
      return scope === "login" ? readings.accountsLoggingIn() : readings.addressesLimited();
    },
  });
  for (const scope of ["account", "login", "ip"]) keys.labels({ scope });
  const up = metrics.gauge({
    name: "holdfast_dependency_up",
    help: "1 while the dependency answers",
    labels: ["dependency"],
    read: ({ dependency }: Record<"dependency", string>) =>
      Number(dependency === "redis" ? readings.isRedisUp() : readings.isNatsUp()),
  });
  up.labels({ dependency: "redis" });
  up.labels({ dependency: "nats" });
}

function byTransport<T>(make: (transport: TransportName) => T): Record<TransportName, T> {
  return { tcp: make("tcp"), ws: make("ws") };
}

export type { HistogramCell };
