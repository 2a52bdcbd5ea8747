/**
 * Every knob and limit of a node: name, default, bounds, unit, meaning. What the values mean
 * together is in config.ts. Defaults are those of the wire document. [§12]
 */

import { parseNatsUrls } from "@holdfast/cluster";
import {
  boolean,
  choice,
  duration,
  faultIn,
  file,
  integer,
  isOrigin,
  list,
  optionalText,
  secret,
  text,
} from "@holdfast/runtime";
import { parseRedisUrl } from "@holdfast/session";
import { limitSettings } from "./limit-settings.ts";

const certificate = { holds: /-----BEGIN CERTIFICATE-----/, what: "certificate in PEM" };
const credentials = { holds: /-----BEGIN NATS USER JWT-----/, what: "credentials of a NATS user" };
const afterSuspicion = ["refuse", "end"] as const;
const fenceModes = ["auto", "strict", "available"] as const;
const closeNotify = ["full", "none", "auto"] as const;
export const second = 1000;
export const minute = 60 * second;

export const edgeSettings = {
  // Who and where.
  EDGE_NODE_NAME: optionalText({
    pattern: /^[A-Za-z0-9_-]{1,40}$/,
    bounds: "1 to 40 of A-Z a-z 0-9 _ -",
    meaning: "Name of this node; a random boot id is added. Not set: the host's name",
  }),
  EDGE_HOST: optionalText({ meaning: "Address the client ports listen on. Not set: 0.0.0.0" }),
  EDGE_TCP_PORT: integer({ default: 9000, min: 0, max: 65535, meaning: "Raw TCP; 0: any free" }),
  EDGE_WS_PORT: integer({ default: 9001, min: 0, max: 65535, meaning: "WebSocket; 0: any free" }),
  EDGE_WS_PATHS: list({
    default: ["/", "/v2"],
    isItem: (item) => /^\/[^\s?#]*$/.test(item),
    bounds: "paths that begin with /",
    meaning: "Paths that accept an upgrade",
  }),
  EDGE_WS_ORIGINS: list({
    default: [],
    isItem: isOrigin,
    bounds: "origins as browsers write them: https://example.com",
    meaning: "Web pages that may connect, others get 403; who is no browser may. Empty: all pages",
  }),
  EDGE_ACCEPTORS: integer({
    default: 16,
    min: 1,
    max: 64,
    unit: "listeners",
    meaning: "Listeners on each client port; each adds 512 places to the accept backlog",
  }),
  EDGE_ADMIN_HOST: optionalText({ meaning: "Address of the admin port. Not set: 0.0.0.0" }),
  EDGE_ADMIN_PORT: integer({ default: 9090, min: 0, max: 65535, meaning: "Metrics and probes" }),
  EDGE_ADMIN_TOKEN: secret({
    charsMin: 16,
    meaning: "Bearer token for changes on the admin port from elsewhere than loopback",
  }),
  EDGE_LOG_LEVEL: choice(["debug", "info", "warn", "error"], {
    default: "info",
    meaning: "Least level that is logged",
  }),
  // What it stands on.
  EDGE_REDIS_URL: secret({
    pattern: /^redis(s|-sentinel|s-sentinel|-cluster|s-cluster)?:\/\/.+/,
    bounds: "a redis://, rediss://, redis-sentinel:// or redis-cluster:// address",
    check: faultIn(parseRedisUrl),
    meaning: "Where sessions live; user and password may be part of it",
  }),
  EDGE_REDIS_SENTINEL_USER: optionalText({
    meaning: "Where the Sentinels have users of their own; those of the URL are for the data nodes",
  }),
  EDGE_REDIS_SENTINEL_PASSWORD: secret({ meaning: "Password of the Sentinels themselves" }),
  EDGE_REDIS_CA_FILE: file({ ...certificate, meaning: "Certificate authority for TLS to Redis" }),
  EDGE_REDIS_PREFIX: optionalText({
    pattern: /^[A-Za-z0-9_:-]{1,32}$/,
    bounds: "1 to 32 of A-Z a-z 0-9 _ : -",
    meaning: "First part of every key. Not set: hf",
  }),
  EDGE_NATS_URL: secret({
    pattern: /^(nats|tls):\/\/.+/,
    bounds: "one or more nats:// or tls:// addresses with commas between",
    check: faultIn(parseNatsUrls),
    meaning: "Where nodes tell each other; user and password may be part of it",
  }),
  EDGE_NATS_PREFIX: text({
    default: "hf",
    pattern: /^[A-Za-z0-9_-]{1,32}(\.[A-Za-z0-9_-]{1,32}){0,3}$/,
    bounds: "1 to 4 parts of A-Z a-z 0-9 _ - with dots between",
    meaning: "First part of every subject, the same for all nodes and the token service",
  }),
  EDGE_NATS_CREDENTIALS_FILE: file({ ...credentials, meaning: "NATS credentials (.creds)" }),
  EDGE_NATS_CA_FILE: file({ ...certificate, meaning: "Certificate authority for TLS to NATS" }),
  EDGE_ROUTES_FILE: optionalText({
    meaning: "Routes and topic rules, JSON; see upstreams.md. Not set: PREFIX.cmd.CODE for all",
  }),
  EDGE_START_TIMEOUT_MS: duration({
    default: 10 * second,
    min: 100,
    max: 10 * minute,
    meaning: "Redis and NATS must each answer within this at start, or the process exits 1",
  }),
  // How long things may take.
  EDGE_HANDSHAKE_TIMEOUT_MS: duration({
    default: 5 * second,
    min: 50,
    max: minute,
    meaning: "Until the two bytes of the handshake (TCP) or the upgrade (WebSocket) have come",
  }),
  EDGE_AUTH_TIMEOUT_MS: duration({
    default: 30 * second,
    min: 100,
    max: 10 * minute,
    meaning: "From the handshake until the connection is open",
  }),
  EDGE_REFUSAL_GRACE_MS: duration({
    default: 3 * second,
    min: 50,
    max: minute,
    meaning: "From a refused login until Close",
  }),
  EDGE_RECONNECT_HOLD_MS: duration({
    default: 4500,
    min: 100,
    max: 10 * second,
    meaning: "A reconnect waits this long for Redis before 7 / 503",
  }),
  EDGE_HEARTBEAT_INTERVAL_MS: duration({
    default: 30 * second,
    min: 50,
    max: minute,
    meaning: "Heartbeat requests on TCP, ping frames on WebSocket, whatever else flows",
  }),
  EDGE_HEARTBEAT_TIMEOUT_MS: duration({
    default: 90 * second,
    min: 100,
    max: 10 * minute,
    meaning: "Nothing received for this long: Close 0",
  }),
  EDGE_REQUEST_TIMEOUT_MS: duration({
    default: 10 * second,
    min: 10,
    max: minute,
    meaning: "Deadline of a request that states none",
  }),
  EDGE_REQUEST_TIMEOUT_MAX_MS: duration({
    default: minute,
    min: 10,
    max: minute,
    meaning: "Deadline of a request that states a longer one",
  }),
  EDGE_CLOSE_LINGER_MS: duration({
    default: second,
    min: 10,
    max: 10 * second,
    meaning: "After Close: read and discard for this long, then destroy",
  }),
  EDGE_RENEW_INTERVAL_MS: duration({
    default: 5 * second,
    min: 50,
    max: minute,
    meaning: "How often all seats of the node are checked in Redis",
  }),
  EDGE_ALLOW_SHORT_TIMERS: boolean({
    default: false,
    meaning: "Lets timers be shorter than the protocol allows: for tests and the demo",
  }),
  // Sessions.
  EDGE_SESSION_TTL_MS: duration({
    default: 24 * 60 * minute,
    min: second,
    max: 365 * 24 * 60 * minute,
    meaning: "How long a session can be resumed; told to the client",
  }),
  EDGE_LEASE_MS: duration({
    default: 45 * second,
    min: 200,
    max: 10 * minute,
    meaning: "A seat that is not renewed for this long is free",
  }),
  EDGE_FIRST_LEASE_MS: duration({
    default: 10 * second,
    min: 100,
    max: minute,
    meaning: "The lease of a new seat, until its first renewal",
  }),
  EDGE_FENCE: choice(fenceModes, {
    default: "auto",
    meaning:
      "Without Redis: strict closes before leases lapse, auto if other nodes reach it, available never",
  }),
  EDGE_ALIAS_GRACE_MS: duration({
    default: minute,
    min: 100,
    max: 10 * minute,
    meaning: "The previous session id stays good until this after the client showed the new one",
  }),
  EDGE_SESSION_THEFT: choice(afterSuspicion, {
    default: "refuse",
    meaning: "A replaced session id is used past its grace; end: the session is over as well",
  }),
  EDGE_TOKEN_REPLAY: choice(afterSuspicion, {
    default: "end",
    meaning: "A used token comes again 5 s after its client got the answer; end: session over",
  }),
  EDGE_FLAP_DISPLACEMENTS_MAX: integer({
    default: 5,
    min: 0,
    max: 100,
    meaning: "Displacements of one account within the window, then it flaps; 0: no breaker",
  }),
  EDGE_FLAP_WINDOW_MS: duration({
    default: minute,
    min: 100,
    max: 60 * minute,
    meaning: "The window of the kick-war breaker",
  }),
  EDGE_KICKS_PENDING_MAX: integer({
    default: 10_000,
    min: 1,
    max: 1_000_000,
    unit: "displacements",
    meaning: "Those repeated to other nodes until acknowledged; more are left to renewal",
  }),
  ...limitSettings,
  // Ending.
  EDGE_TCP_CLOSE_NOTIFY: choice(closeNotify, {
    default: "full",
    meaning: "Whether TCP clients are sent Close; auto: not those of platform 9",
  }),
  EDGE_WS_CLOSE_NOTIFY: choice(closeNotify, {
    default: "full",
    meaning: "Whether WebSocket clients are sent Close; auto: not the public Go client",
  }),
  EDGE_CLOSE_HINTS: boolean({
    default: true,
    meaning: "A Close says when to come back, or not to; clients that do not know it skip it",
  }),
  EDGE_DRAIN_DELAY_MS: duration({
    default: 5 * second,
    min: 0,
    max: 10 * minute,
    meaning: "From the signal until the listeners close: the load balancer must notice",
  }),
  EDGE_DRAIN_WINDOW_MS: duration({
    default: 20 * second,
    min: 0,
    max: 60 * minute,
    meaning: "Everyone is closed within this, in random order",
  }),
  EDGE_DRAIN_GRACE_MS: duration({
    default: 5 * second,
    min: 0,
    max: minute,
    meaning: "A connection at its turn waits this long for its unanswered requests",
  }),
  EDGE_DRAIN_DEADLINE_MS: duration({
    default: 45 * second,
    min: second,
    max: 120 * minute,
    meaning: "From the signal until the process has ended, whatever hangs",
  }),
  EDGE_RETRY_AFTER_SECONDS: integer({
    default: 2,
    min: 1,
    max: 600,
    unit: "s",
    meaning: "Retry-After of a refused upgrade",
  }),
  // The upstream of this first form: an echo inside the process.
  EDGE_ECHO_COMMANDS: list({
    default: [],
    isItem: (item) => /^\d{1,3}(-\d{1,3})?$/.test(item) && commandsOf([item]).length > 0,
    bounds: "commands 4 to 255, or ranges of them as in 4-199",
    itemsMax: 252,
    meaning: "Commands answered by an echo inside the node; others get 3 / 404",
  }),
} as const;

/** "16" and "4-199" as numbers; empty where a bound is not a command of an upstream. */
export function commandsOf(items: readonly string[]): readonly number[] {
  return items.flatMap((item) => {
    const [first = 0, last = first] = item.split("-").map(Number);
    if (first < 4 || last > 255 || last < first) return [];
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
