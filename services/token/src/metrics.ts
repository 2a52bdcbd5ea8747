/** Every metric of the token service, declared once. Names are those of the operators' page. */
import type { Metrics } from "@holdfast/runtime";
import type { StoreFault } from "@holdfast/session";

export type IssueOutcome = "ok" | "denied" | "limit" | "unavailable";
export type LimitScope = "ip" | "app";
export type Dependency = "redis" | "nats";
export type DependencyOp = "issue" | "end" | "publish";

const faults: readonly StoreFault[] = [
  "timeout",
  "refused",
  "readonly",
  "oom",
  "loading",
  "clusterdown",
  "noreplicas",
  "other",
];

export interface TokenMetrics {
  issued(outcome: IssueOutcome): void;
  limited(scope: LimitScope): void;
  dependencyFailed(dependency: Dependency, fault: StoreFault): void;
  dependencyTook(op: DependencyOp, durationMs: number): void;
  exception(): void;
}

export function createTokenMetrics(
  metrics: Metrics,
  read: {
    readonly limiterKeys: Readonly<Record<LimitScope, () => number>>;
    readonly isUp: Readonly<Record<Dependency, () => boolean>>;
  },
): TokenMetrics {
  const issued = metrics.counter({
    name: "holdfast_tokens_issued_total",
    help: "Answers to requests for a one-time token",
    labels: ["outcome"],
  });
  const limited = metrics.counter({
    name: "holdfast_rate_limited_total",
    help: "Requests refused because they came too fast",
    labels: ["scope"],
  });
  const errors = metrics.counter({
    name: "holdfast_dependency_errors_total",
    help: "Calls to Redis or NATS that failed",
    labels: ["dependency", "reason"],
  });
  const took = metrics.histogram({
    name: "holdfast_dependency_duration_seconds",
    help: "How long calls to Redis or NATS took",
    labels: ["dependency", "op"],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
  });
  const exceptions = metrics.counter({
    name: "holdfast_exceptions_total",
    help: "Internal errors that were caught; each is in the log",
    labels: ["where"],
  });
  declareRead(metrics, read);

  for (const outcome of ["ok", "denied", "limit", "unavailable"]) issued.labels({ outcome });
  for (const scope of ["ip", "app"]) limited.labels({ scope });
  for (const reason of faults) errors.labels({ dependency: "redis", reason });
  errors.labels({ dependency: "nats", reason: "other" });
  return {
    issued: (outcome) => issued.labels({ outcome }).inc(),
    limited: (scope) => limited.labels({ scope }).inc(),
    dependencyFailed: (dependency, reason) => errors.labels({ dependency, reason }).inc(),
    dependencyTook: (op, durationMs) => {
      const dependency = op === "publish" ? "nats" : "redis";
      took.labels({ dependency, op }).observe(durationMs / 1000);
    },
    exception: () => exceptions.labels({ where: "http" }).inc(),
  };
}

function declareRead(metrics: Metrics, read: Parameters<typeof createTokenMetrics>[1]): void {
  const keys = metrics.gauge({
    name: "holdfast_rate_limiter_keys",
    help: "Addresses and apps whose rate is remembered; bounded",
    labels: ["scope"],
  });
  const isUp = metrics.gauge({
    name: "holdfast_dependency_up",
    help: "1 while Redis or NATS answers",
    labels: ["dependency"],
  });
  metrics.onCollect(() => {
    for (const scope of ["ip", "app"] as const)
      keys.labels({ scope }).set(read.limiterKeys[scope]());
    for (const dependency of ["redis", "nats"] as const) {
      isUp.labels({ dependency }).set(read.isUp[dependency]() ? 1 : 0);
    }
  });
}
