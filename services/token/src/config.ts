/**
 * Every knob and limit of the token service. Read once, at start, from the environment; all
 * mistakes are reported together. Defaults are those of the wire document. [§12]
 */
import { parseNatsUrls } from "@holdfast/cluster";
import {
  bytes,
  choice,
  duration,
  type Environment,
  faultIn,
  file,
  integer,
  isNetwork,
  isOrigin,
  list,
  optionalText,
  readSettings,
  type Settings,
  type SettingsValues,
  secret,
  text,
} from "@holdfast/runtime";
import { parseRedisUrl } from "@holdfast/session";

const certificate = { holds: /-----BEGIN CERTIFICATE-----/, what: "certificate in PEM" };
const credentials = { holds: /-----BEGIN NATS USER JWT-----/, what: "credentials of a NATS user" };
const second = 1000;
const minute = 60 * second;
const algorithms = /^(RS|PS|ES|HS)(256|384|512)$|^EdDSA$|^Ed25519$/;
const port = { min: 0, max: 65_535, unit: "port" };

export const tokenSettings = {
  // Who and where.
  TOKEN_NODE_NAME: optionalText({
    pattern: /^[A-Za-z0-9_-]{1,40}$/,
    bounds: "1 to 40 of A-Z a-z 0-9 _ -",
    meaning: "Name of this process in the logs. Not set: the host's name",
  }),
  TOKEN_HOST: text({ default: "0.0.0.0", meaning: "Address the API listens on" }),
  TOKEN_PORT: integer({ ...port, default: 9002, meaning: "The API; 0: any free" }),
  TOKEN_ADMIN_HOST: text({ default: "0.0.0.0", meaning: "Address of the admin port" }),
  TOKEN_ADMIN_PORT: integer({ ...port, default: 9091, meaning: "Metrics and probes; 0: any free" }),
  TOKEN_ADMIN_TOKEN: secret({
    charsMin: 16,
    meaning: "Bearer token for changes on the admin port from elsewhere than loopback",
  }),
  TOKEN_LOG_LEVEL: choice(["debug", "info", "warn", "error"], {
    default: "info",
    meaning: "Least level that is logged",
  }),
  // What it stands on.
  TOKEN_DIRECTORY_FILE: text({ meaning: "JSON file of apps, access tokens and backend keys" }),
  TOKEN_REDIS_URL: secret({
    pattern: /^redis(s|-sentinel|s-sentinel|-cluster|s-cluster)?:\/\/.+/,
    bounds: "a redis://, rediss://, redis-sentinel:// or redis-cluster:// address",
    check: faultIn(parseRedisUrl),
    meaning: "Where tokens and sessions live; user and password may be part of it",
  }),
  TOKEN_REDIS_SENTINEL_USER: optionalText({
    meaning: "Where the Sentinels have users of their own; those of the URL are for the data nodes",
  }),
  TOKEN_REDIS_SENTINEL_PASSWORD: secret({ meaning: "Password of the Sentinels themselves" }),
  TOKEN_REDIS_CA_FILE: file({ ...certificate, meaning: "Certificate authority for TLS to Redis" }),
  TOKEN_REDIS_PREFIX: text({
    default: "hf",
    pattern: /^[A-Za-z0-9_:-]{1,32}$/,
    bounds: "1 to 32 of A-Z a-z 0-9 _ : -",
    meaning: "First part of every key; the same as on the edges",
  }),
  TOKEN_NATS_URL: secret({
    pattern: /^(nats|tls):\/\/.+/,
    bounds: "one or more nats:// or tls:// addresses with commas between",
    check: faultIn(parseNatsUrls),
    meaning: "Where nodes are told of ended sessions; user and password may be part of it",
  }),
  TOKEN_NATS_PREFIX: text({
    default: "hf",
    pattern: /^[A-Za-z0-9_-]{1,32}(\.[A-Za-z0-9_-]{1,32}){0,3}$/,
    bounds: "1 to 4 parts of A-Z a-z 0-9 _ - with dots between",
    meaning: "First part of every subject, as the edges have it",
  }),
  TOKEN_NATS_CREDENTIALS_FILE: file({ ...credentials, meaning: "NATS credentials (.creds)" }),
  TOKEN_NATS_CA_FILE: file({ ...certificate, meaning: "Certificate authority for TLS to NATS" }),
  // How long things may take.
  TOKEN_START_TIMEOUT_MS: duration({
    default: 10 * second,
    min: 100,
    max: 10 * minute,
    meaning: "Redis and NATS must each answer within this at start, or the process exits 1",
  }),
  TOKEN_STOP_TIMEOUT_MS: duration({
    default: 10 * second,
    min: 100,
    max: 10 * minute,
    meaning: "From SIGTERM to the end of the process, or it exits 1",
  }),
  TOKEN_REGISTRY_TIMEOUT_MS: duration({
    default: 950, // the store's own limit is 900, and names the fault better
    min: 10,
    max: 10 * second,
    meaning: "The registry must answer within this, or the caller gets 503",
  }),
  TOKEN_REQUEST_TIMEOUT_MS: duration({
    default: 10 * second,
    min: 10,
    max: minute,
    meaning: "The body of a request must have come within this, or the caller gets 408",
  }),
  TOKEN_BODY_BYTES_MAX: bytes({
    default: 65_536,
    min: 1024,
    max: 1_048_576,
    meaning: "Body of a request; above: 413",
  }),
  // Tokens.
  TOKEN_OTP_TTL_MS: duration({
    default: 5 * minute,
    min: second,
    max: 60 * minute,
    meaning: "How long an issued token is good, once",
  }),
  TOKEN_CONNECTION_LIMIT: integer({
    default: 1,
    min: 1,
    max: 1000,
    unit: "connections",
    meaning: "Open connections of an account whose own limit is not given",
  }),
  TOKEN_POLICY: choice(["displace", "reject"], {
    default: "displace",
    meaning: "Who yields above the limit: the oldest connection, or the newcomer",
  }),
  TOKEN_TIMESTAMP_TOLERANCE_MS: duration({
    default: 5 * minute,
    min: second,
    max: 60 * minute,
    meaning: "Difference of clocks that a signed request may have",
  }),
  // Rates. A client that asks once a second must never meet them. [§13.1]
  TOKEN_ADDRESS_RATE: integer({
    default: 50,
    min: 0,
    max: 1_000_000,
    unit: "requests/s",
    meaning: "From one IPv4 address or IPv6 /64, public calls only; 0: no limit",
  }),
  TOKEN_ADDRESS_BURST: integer({
    default: 200,
    min: 1,
    max: 1_000_000,
    unit: "requests",
    meaning: "At once from one address",
  }),
  TOKEN_APP_RATE: integer({
    default: 1000,
    min: 0,
    max: 1_000_000,
    unit: "requests/s",
    meaning: "For one app, or with one backend key; 0: no limit",
  }),
  TOKEN_APP_BURST: integer({
    default: 2000,
    min: 1,
    max: 1_000_000,
    unit: "requests",
    meaning: "At once for one app, or with one backend key",
  }),
  TOKEN_RATE_KEYS_MAX: integer({
    default: 100_000,
    min: 1,
    max: 10_000_000,
    unit: "keys",
    meaning: "Addresses whose rate is remembered; above, the quiet are forgotten",
  }),
  // Bearer tokens of the users' own identity provider. [D27]
  TOKEN_JWT_JWKS: optionalText({
    check: (place) =>
      /^[a-z][a-z0-9+.-]*:\/\//i.test(place) && !place.startsWith("https://")
        ? "must be a file, or an https:// address"
        : null,
    meaning: "Public keys of whoever signs JWTs: a file, or an https address",
  }),
  TOKEN_JWT_KEY: secret({ meaning: "Instead: one public key in PEM, or the secret of HS256" }),
  TOKEN_JWT_ISSUER: optionalText({ meaning: "What `iss` must be. Not set: not looked at" }),
  TOKEN_JWT_AUDIENCE: optionalText({ meaning: "What `aud` must hold. Not set: not looked at" }),
  TOKEN_JWT_ALGORITHMS: list({
    default: ["RS256", "ES256", "EdDSA"],
    isItem: (item) => algorithms.test(item),
    bounds: "RS256, ES256, EdDSA and their kin, or HS256 with a secret",
    meaning: "Algorithms that are believed",
  }),
  TOKEN_JWT_CLOCK_TOLERANCE_MS: duration({
    default: 30 * second,
    min: 0,
    max: 10 * minute,
    meaning: "Difference of clocks that `exp` and `nbf` may have",
  }),
  TOKEN_CORS_ORIGINS: list({
    default: [],
    isItem: (item) => item === "*" || isOrigin(item),
    bounds: "origins as in https://example.com, or *",
    meaning: "Web pages that may ask for a token from a browser",
  }),
  TOKEN_TRUSTED_PROXIES: list({
    default: [],
    isItem: isNetwork,
    bounds: "addresses or networks in CIDR form",
    meaning: "Peers whose X-Forwarded-For is believed",
  }),
};

export type TokenConfig = SettingsValues<typeof tokenSettings>;

/** Throws SettingsError. Whoever embeds the service gives addresses, too, though nobody dials. */
export function readTokenConfig(environment: Environment): Settings<typeof tokenSettings> {
  return readSettings(tokenSettings, environment, { prefix: "TOKEN_", rules });
}

/** A public key; anything else is the secret of an HMAC. */
export function isPem(key: string): boolean {
  return key.includes("-----BEGIN");
}

const rules = [
  (config: TokenConfig) =>
    config.TOKEN_JWT_JWKS !== null && config.TOKEN_JWT_KEY !== null
      ? "TOKEN_JWT_JWKS and TOKEN_JWT_KEY are both set: must be one of them"
      : null,
  // With a public key for a secret, anybody could sign.
  (config: TokenConfig) => {
    const isSecret = config.TOKEN_JWT_KEY !== null && !isPem(config.TOKEN_JWT_KEY);
    const hasHmac = config.TOKEN_JWT_ALGORITHMS.some((name) => name.startsWith("HS"));
    const hasOther = config.TOKEN_JWT_ALGORITHMS.some((name) => !name.startsWith("HS"));
    if (isSecret && (hasOther || !hasHmac)) {
      return "TOKEN_JWT_ALGORITHMS must be HS256, HS384 or HS512 when TOKEN_JWT_KEY is a secret";
    }
    return hasHmac && !isSecret
      ? "TOKEN_JWT_ALGORITHMS has HS256 or its kin: TOKEN_JWT_KEY must be a secret"
      : null;
  },
  (config: TokenConfig) =>
    config.TOKEN_JWT_KEY !== null &&
    !isPem(config.TOKEN_JWT_KEY) &&
    config.TOKEN_JWT_KEY.length < 32
      ? "TOKEN_JWT_KEY is shorter than 32 characters: a secret of HS256 must not be"
      : null,
  (config: TokenConfig) => {
    const name = (["TOKEN_JWT_ISSUER", "TOKEN_JWT_AUDIENCE"] as const).find((one) => config[one]);
    const hasKey = config.TOKEN_JWT_JWKS !== null || config.TOKEN_JWT_KEY !== null;
    if (name === undefined || hasKey) return null;
    return `${name} is set: TOKEN_JWT_JWKS or TOKEN_JWT_KEY must be set as well`;
  },
  (config: TokenConfig) =>
    config.TOKEN_REDIS_CA_FILE !== null && !/^rediss/.test(config.TOKEN_REDIS_URL ?? "rediss")
      ? "TOKEN_REDIS_CA_FILE is set: TOKEN_REDIS_URL must then begin with rediss, for TLS"
      : null,
  (config: TokenConfig) => (config.TOKEN_REDIS_URL === null ? "TOKEN_REDIS_URL must be set" : null),
  (config: TokenConfig) => (config.TOKEN_NATS_URL === null ? "TOKEN_NATS_URL must be set" : null),
  (config: TokenConfig) =>
    config.TOKEN_ADDRESS_BURST >= config.TOKEN_ADDRESS_RATE
      ? null
      : "TOKEN_ADDRESS_BURST must be TOKEN_ADDRESS_RATE or more",
  (config: TokenConfig) =>
    config.TOKEN_APP_BURST >= config.TOKEN_APP_RATE
      ? null
      : "TOKEN_APP_BURST must be TOKEN_APP_RATE or more",
  (config: TokenConfig) =>
    config.TOKEN_PORT !== config.TOKEN_ADMIN_PORT || config.TOKEN_PORT === 0
      ? null
      : "TOKEN_ADMIN_PORT must differ from TOKEN_PORT",
];
