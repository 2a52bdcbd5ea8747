/** Every knob of the quotes. Read once, at start, from the environment; all mistakes together. */
import {
  choice,
  duration,
  type Environment,
  integer,
  list,
  optionalText,
  readSettings,
  type Settings,
  type SettingsValues,
  secret,
  text,
} from "@holdfast/runtime";
import { catalogueSymbols, isSymbol } from "./instrument.ts";
import { edgeOf } from "./place.ts";

const port = { min: 0, max: 65_535, unit: "port" };

export const quotesSettings = {
  QUOTES_ROLES: list({
    default: ["feed", "page"],
    isItem: (item) => item === "feed" || item === "page",
    bounds: "feed, page, or both",
    itemsMax: 2,
    meaning: "What this process does: answers and pushes quotes, serves the page, or both",
  }),
  QUOTES_LOG_LEVEL: choice(["debug", "info", "warn", "error"], {
    default: "info",
    meaning: "Least level that is logged",
  }),
  QUOTES_ADMIN_HOST: text({ default: "0.0.0.0", meaning: "Address of the admin port" }),
  QUOTES_ADMIN_PORT: integer({ ...port, default: 9092, meaning: "Metrics and probes" }),
  QUOTES_STOP_TIMEOUT_MS: duration({
    default: 10_000,
    min: 100,
    max: 600_000,
    meaning: "From SIGTERM to the end of the process, or it exits 1",
  }),
  // The feed. One process of a deployment has this role: two would push two different prices.
  QUOTES_NATS_URL: secret({
    pattern: /^(nats|tls):\/\/.+/,
    bounds: "one or more nats:// or tls:// addresses with commas between",
    meaning: "Where requests come from and quotes go; user and password may be part of it",
  }),
  QUOTES_SYMBOLS: list({
    default: catalogueSymbols,
    isItem: isSymbol,
    bounds: "1 to 8 of A-Z 0-9, a letter first",
    itemsMax: 100,
    meaning: "What is quoted; those that the example does not know open at 100.00",
  }),
  QUOTES_RATE: integer({
    default: 200,
    min: 1,
    max: 10_000,
    unit: "quotes/s",
    meaning: "Of all symbols together",
  }),
  QUOTES_SEED: integer({
    default: 1,
    min: 0,
    max: 4_294_967_295,
    meaning: "Of the walk that prices take; the same seed walks the same way",
  }),
  // The page.
  QUOTES_PAGE_HOST: text({ default: "0.0.0.0", meaning: "Address the page listens on" }),
  QUOTES_PAGE_PORT: integer({ ...port, default: 9003, meaning: "The page; 0: any free" }),
  QUOTES_EDGES: list({
    default: [],
    isItem: (item) => edgeOf(item) !== null,
    bounds: "ws:// or wss:// addresses, each with a name before it as in edge-1=ws://10.0.0.1:9001",
    itemsMax: 100,
    meaning: "Where browsers connect to",
  }),
  QUOTES_TOKEN_URL: optionalText({
    pattern: /^https?:\/\/.+/,
    bounds: "an http:// or https:// address",
    meaning: "The token service",
  }),
  QUOTES_TOKEN_API_KEY: secret({ meaning: "A backend's key at the token service" }),
  QUOTES_TOKEN_TIMEOUT_MS: duration({
    default: 3000,
    min: 10,
    max: 60_000,
    meaning: "The token service must answer within this, or who logs in gets 503",
  }),
};

export type QuotesConfig = SettingsValues<typeof quotesSettings>;

/** Throws SettingsError. */
export function readQuotesConfig(environment: Environment): Settings<typeof quotesSettings> {
  return readSettings(quotesSettings, environment, { prefix: "QUOTES_", rules });
}

const rules = [
  (config: QuotesConfig) =>
    config.QUOTES_ROLES.includes("feed") && config.QUOTES_NATS_URL === null
      ? "QUOTES_NATS_URL must be set for the feed"
      : null,
  (config: QuotesConfig) =>
    config.QUOTES_ROLES.includes("page") && config.QUOTES_EDGES.length === 0
      ? "QUOTES_EDGES must be set for the page"
      : null,
  (config: QuotesConfig) =>
    config.QUOTES_ROLES.includes("page") &&
    (config.QUOTES_TOKEN_URL === null || config.QUOTES_TOKEN_API_KEY === null)
      ? "QUOTES_TOKEN_URL and QUOTES_TOKEN_API_KEY must be set for the page"
      : null,
  (config: QuotesConfig) =>
    config.QUOTES_SYMBOLS.length === 0 ? "QUOTES_SYMBOLS must name one symbol at least" : null,
];
