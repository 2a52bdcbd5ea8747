/**
 * What becomes of requests of command 4 to 255, counted by the route they took. Names of routes
 * come from the configuration; what has none is "other". Cells are made once and kept.
 */
import type { Metrics } from "@holdfast/runtime";
import type { DroppedReply, UpstreamFault } from "./upstream/upstream.ts";

export type RequestOutcome =
  | "ok"
  | "error"
  | "timeout"
  | "no_responder"
  | "bad_request"
  | "rate_limited"
  | "cancelled";

/**
 * connection: unanswered requests. admission: memory of the node. inflate: what packets of one
 * connection inflate to. ip and account: logins.
 */
export type LimitScope =
  | "connection"
  | "connection_rate"
  | "account_rate"
  | "admission"
  | "inflate"
  | "ip"
  | "account";

const durationBuckets = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60,
];

export function requestMetrics(metrics: Metrics) {
  const requests = metrics.counter({
    name: "holdfast_requests_total",
    help: "Requests of command 4 to 255, by how they ended",
    labels: ["route", "outcome"],
  });
  const duration = metrics.histogram({
    name: "holdfast_request_duration_seconds",
    help: "From a request's packet to its answer",
    buckets: durationBuckets,
    labels: ["route"],
  });
  const limited = metrics.counter({
    name: "holdfast_rate_limited_total",
    help: "Requests and logins refused because of a limit",
    labels: ["scope"],
  });
  const faults = metrics.counter({
    name: "holdfast_upstream_faults_total",
    help: "Requests an upstream did not answer well: away, no fit answer, or too large to ask",
    labels: ["route", "fault"],
  });
  const uncompressed = metrics.counter({
    name: "holdfast_compressions_skipped_total",
    help: "Bodies that left as they are because compressing had taken its share of the time",
  });
  const dropped = metrics.counter({
    name: "holdfast_upstream_replies_dropped_total",
    help: "Replies of upstreams that nobody waited for",
    labels: ["reason"],
  });
  const routes = new Map<string | null, ReturnType<typeof cellsOf>>();
  return {
    /** Null: there is no route. A refusal takes no time, and is not observed. */
    requested(name: string | null, outcome: RequestOutcome, ms: number) {
      const cells = routes.get(name) ?? add(name);
      cells[outcome].inc();
      if (ms > 0) cells.took.observe(ms / 1000);
    },
    compressionSkipped: () => uncompressed.inc(),
    rateLimited: (scope: LimitScope) => limited.labels({ scope }).inc(),
    upstreamFailed: (route: string, fault: UpstreamFault) => faults.labels({ route, fault }).inc(),
    watchPayloadLimit: (read: () => number) =>
      metrics.gauge({
        name: "holdfast_nats_payload_limit_bytes",
        help: "What NATS carries in one message, headers and body; its server says so",
        read,
      }),
    replyDropped: (reason: DroppedReply) => dropped.labels({ reason }).inc(),
  };

  function add(name: string | null) {
    const cells = cellsOf(name ?? "other");
    routes.set(name, cells);
    return cells;
  }

  function cellsOf(route: string) {
    const cell = (outcome: RequestOutcome) => requests.labels({ route, outcome });
    return {
      took: duration.labels({ route }),
      ok: cell("ok"),
      error: cell("error"),
      timeout: cell("timeout"),
      no_responder: cell("no_responder"),
      bad_request: cell("bad_request"),
      rate_limited: cell("rate_limited"),
      cancelled: cell("cancelled"),
    };
  }
}
