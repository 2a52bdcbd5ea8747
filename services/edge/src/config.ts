/**
 * Every knob and limit of a node, and the rules between them. Read once, at start, from the
 * environment; all mistakes are reported together. Defaults are those of the wire document [§12].
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { type Environment, readSettings, type SettingsValues } from "@holdfast/runtime";
import { defaultRegistrySettings, type RegistrySettings } from "@holdfast/session";
import { edgeSettings, minute, second } from "./settings.ts";

type Values = SettingsValues<typeof edgeSettings>;
type Words<Name extends string> = Name extends `${infer First}_${infer Rest}`
  ? `${First}${Capitalize<Words<Rest>>}`
  : Name;
type KnobName<Name> = Name extends `EDGE_${infer Rest}` ? Words<Lowercase<Rest>> : never;

/** `EDGE_AUTH_TIMEOUT_MS` is `authTimeoutMs`, by rule. Frozen. */
export type EdgeConfig = {
  readonly [Name in keyof Values as KnobName<Name>]: Values[Name];
} & {
  /** The node's id: its name and a random boot id, so that it is never used twice. */
  readonly nodeId: string;
  /** What the registry is made with. */
  readonly registry: RegistrySettings;
};

/** Throws SettingsError with every mistake. `isEmbedded`: without Redis and NATS. */
export function readEdgeConfig(
  environment: Environment,
  options: { readonly isEmbedded: boolean } = { isEmbedded: true },
): { readonly config: EdgeConfig; readonly values: Values; readonly unknown: readonly string[] } {
  const { values, unknown } = readSettings(edgeSettings, environment, {
    prefix: "EDGE_",
    rules: [...timerRules, ...limitRules, ...(options.isEmbedded ? [] : serverRules)],
  });
  const knobs = Object.entries(values).map(([name, value]) => [knobName(name), value]);
  const most = Math.floor(0.8 * fileDescriptorsMax());
  const connectionsMax = values.EDGE_CONNECTIONS_MAX || most;
  // They are none of the connections, and must not take the descriptors of anything else.
  const refusalsMax = Math.min(connectionsMax / 8, (fileDescriptorsMax() - connectionsMax) / 4);
  const nodeName = values.EDGE_NODE_NAME ?? hostName(environment);
  const config = Object.freeze({
    ...Object.fromEntries(knobs),
    connectionsMax,
    unauthenticatedMax: values.EDGE_UNAUTHENTICATED_MAX || Math.ceil(connectionsMax / 4),
    wsRefusalsMax: values.EDGE_WS_REFUSALS_MAX || Math.max(1, Math.floor(refusalsMax)),
    nodeId: `${nodeName}-${randomBytes(6).toString("hex")}`,
    registry: registrySettings(values),
  }) as EdgeConfig; // knobName and KnobName are the same rule, once for values, once for types
  return { config, values, unknown };
}

function registrySettings(values: Values): RegistrySettings {
  return {
    ...defaultRegistrySettings,
    sessionTtlMs: values.EDGE_SESSION_TTL_MS,
    leaseMs: values.EDGE_LEASE_MS,
    firstLeaseMs: values.EDGE_FIRST_LEASE_MS,
    renewBelowMs: renewBelowMs(values),
    aliasGraceMs: values.EDGE_ALIAS_GRACE_MS,
    flapDisplacementsMax: values.EDGE_FLAP_DISPLACEMENTS_MAX,
    flapWindowMs: values.EDGE_FLAP_WINDOW_MS,
    theftEnds: values.EDGE_SESSION_THEFT === "end",
    replayEnds: values.EDGE_TOKEN_REPLAY === "end",
  };
}

/** Every renewal writes, also one of the quicker nodes: an outage may begin before the next. */
function renewBelowMs(values: Values): number {
  return values.EDGE_LEASE_MS - Math.floor(values.EDGE_RENEW_INTERVAL_MS * 0.8);
}

type Rule = (values: Values) => string | null;

/** What the protocol asks of timers; tests and the demo may be quicker. [§12] */
const timerRules: readonly Rule[] = [
  atLeast("EDGE_AUTH_TIMEOUT_MS", 16 * second),
  atLeast("EDGE_REFUSAL_GRACE_MS", 2 * second + 1),
  atLeast("EDGE_HEARTBEAT_TIMEOUT_MS", minute + 1),
  atLeast("EDGE_SESSION_TTL_MS", 5 * minute),
  (values) =>
    values.EDGE_HEARTBEAT_TIMEOUT_MS < 2 * values.EDGE_HEARTBEAT_INTERVAL_MS
      ? "EDGE_HEARTBEAT_TIMEOUT_MS must be at least twice EDGE_HEARTBEAT_INTERVAL_MS"
      : null,
  (values) =>
    values.EDGE_LEASE_MS < 3 * values.EDGE_RENEW_INTERVAL_MS
      ? "EDGE_LEASE_MS must be at least three times EDGE_RENEW_INTERVAL_MS"
      : null,
  (values) =>
    values.EDGE_FIRST_LEASE_MS < 2 * values.EDGE_RENEW_INTERVAL_MS
      ? "EDGE_FIRST_LEASE_MS must be at least twice EDGE_RENEW_INTERVAL_MS"
      : null,
  (values) =>
    values.EDGE_FIRST_LEASE_MS > renewBelowMs(values)
      ? "EDGE_FIRST_LEASE_MS must be at most EDGE_LEASE_MS less 0.8 of EDGE_RENEW_INTERVAL_MS"
      : null,
  (values) =>
    values.EDGE_DRAIN_DEADLINE_MS <
    values.EDGE_DRAIN_DELAY_MS + values.EDGE_DRAIN_WINDOW_MS + values.EDGE_DRAIN_GRACE_MS
      ? "EDGE_DRAIN_DEADLINE_MS must be at least EDGE_DRAIN_DELAY_MS + EDGE_DRAIN_WINDOW_MS + EDGE_DRAIN_GRACE_MS"
      : null,
];

const descriptorsLeast = 256; // listeners, Redis, NATS, logs, and some clients

const limitRules: readonly Rule[] = [
  slowestBody,
  () =>
    fileDescriptorsMax() < descriptorsLeast
      ? `The limit of file descriptors is ${fileDescriptorsMax()}: must be at least ${descriptorsLeast} (ulimit -n, LimitNOFILE)`
      : null,
  (values) =>
    values.EDGE_REQUEST_TIMEOUT_MS > values.EDGE_REQUEST_TIMEOUT_MAX_MS
      ? "EDGE_REQUEST_TIMEOUT_MS must not be above EDGE_REQUEST_TIMEOUT_MAX_MS"
      : null,
  (values) =>
    values.EDGE_BODY_BYTES_MAX > values.EDGE_NODE_BODY_BYTES_MAX
      ? "EDGE_BODY_BYTES_MAX must not be above EDGE_NODE_BODY_BYTES_MAX"
      : null,
  (values) =>
    values.EDGE_CONNECTIONS_MAX > 0 && values.EDGE_UNAUTHENTICATED_MAX > values.EDGE_CONNECTIONS_MAX
      ? "EDGE_UNAUTHENTICATED_MAX must not be above EDGE_CONNECTIONS_MAX"
      : null,
  (values) => {
    const most = Math.floor(0.8 * fileDescriptorsMax());
    return values.EDGE_CONNECTIONS_MAX > most
      ? `EDGE_CONNECTIONS_MAX is ${values.EDGE_CONNECTIONS_MAX}: must be at most ${most}, 80 % of the file descriptors`
      : null;
  },
  (values) =>
    values.EDGE_PRE_AUTH_BYTES_MAX > values.EDGE_BODY_BYTES_MAX
      ? "EDGE_PRE_AUTH_BYTES_MAX must not be above EDGE_BODY_BYTES_MAX"
      : null,
  (values) =>
    values.EDGE_OUTBOUND_BYTES_MAX > values.EDGE_NODE_OUTBOUND_BYTES_MAX
      ? "EDGE_OUTBOUND_BYTES_MAX must not be above EDGE_NODE_OUTBOUND_BYTES_MAX"
      : null,
];

/** A body that is allowed has to arrive while its sender still counts as alive. */
function slowestBody(values: Values): string | null {
  const rate = values.EDGE_INBOUND_BYTES_PER_SECOND;
  const seconds = (values.EDGE_BODY_BYTES_MAX - values.EDGE_INBOUND_BYTES_BURST) / rate;
  if (rate === 0 || seconds * second <= values.EDGE_HEARTBEAT_TIMEOUT_MS / 2) return null;
  return "EDGE_BODY_BYTES_MAX must arrive within half of EDGE_HEARTBEAT_TIMEOUT_MS: raise EDGE_INBOUND_BYTES_PER_SECOND or EDGE_INBOUND_BYTES_BURST";
}

const serverRules: readonly Rule[] = [
  ...(["EDGE_REDIS_URL", "EDGE_NATS_URL"] as const).map(
    (name): Rule =>
      (values) =>
        values[name] === null ? `${name} is not set: an edge cannot do without` : null,
  ),
  samePort("EDGE_TCP_PORT", "EDGE_WS_PORT"),
  samePort("EDGE_TCP_PORT", "EDGE_ADMIN_PORT"),
  samePort("EDGE_WS_PORT", "EDGE_ADMIN_PORT"),
  (values) =>
    values.EDGE_REDIS_CA_FILE !== null && !/^rediss/.test(values.EDGE_REDIS_URL ?? "rediss")
      ? "EDGE_REDIS_CA_FILE is set: EDGE_REDIS_URL must then begin with rediss, for TLS"
      : null,
  (values) =>
    values.EDGE_REDIS_SENTINEL_USER !== null && values.EDGE_REDIS_SENTINEL_PASSWORD === null
      ? "EDGE_REDIS_SENTINEL_USER is set: EDGE_REDIS_SENTINEL_PASSWORD must be set as well"
      : null,
  (values) =>
    values.EDGE_REDIS_SENTINEL_PASSWORD !== null && !isSentinel(values.EDGE_REDIS_URL)
      ? "EDGE_REDIS_SENTINEL_PASSWORD is set: EDGE_REDIS_URL must then name Sentinels"
      : null,
];

function isSentinel(url: string | null): boolean {
  return url === null || /^rediss?-sentinel:/.test(url);
}

type PortName = Extract<keyof Values, `${string}_PORT`>;

/** The admin port may be the same on another address of the machine. */
function samePort(left: PortName, right: PortName): Rule {
  return (values) => {
    const hosts = [values.EDGE_HOST, right === "EDGE_ADMIN_PORT" ? values.EDGE_ADMIN_HOST : null];
    const isApart = hosts.every((host) => host !== null && host !== "0.0.0.0" && host !== "::");
    const isSame = values[left] === values[right] && values[left] !== 0;
    if (!isSame || (right === "EDGE_ADMIN_PORT" && isApart && hosts[0] !== hosts[1])) return null;
    return `${right} is ${values[right]}: must differ from ${left}`;
  };
}

type DurationName = Extract<keyof Values, `${string}_MS`>;

function atLeast(name: DurationName, leastMs: number): Rule {
  return (values) =>
    values[name] < leastMs && !values.EDGE_ALLOW_SHORT_TIMERS
      ? `${name} is ${values[name]}: must be at least ${leastMs}, or set EDGE_ALLOW_SHORT_TIMERS`
      : null;
}

function knobName(name: string): string {
  const words = name.slice("EDGE_".length).toLowerCase();
  return words.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function hostName(environment: Environment): string {
  const name = (environment["HOSTNAME"] ?? "edge").replace(/[^A-Za-z0-9_-]/g, "-");
  return name.slice(0, 40) || "edge";
}

/** The soft limit of this process, which is what accept() runs into. */
export function fileDescriptorsMax(): number {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
    return soft === undefined ? 1024 : Number(soft);
  } catch {
    return 1024; // no /proc: be careful rather than right
  }
}
