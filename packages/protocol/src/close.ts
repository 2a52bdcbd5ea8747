/**
 * One table: every way a connection ends, and what its peer is told. Adding a way to end means
 * adding a row. [§7.1] [§10]
 */

/** Codes of the Close push; a WebSocket close frame carries 4000 + code. [§7.1] */
export const CloseCode = {
  heartbeatTimeout: 0,
  serverError: 1,
  serverShutdown: 2,
  unpackError: 3,
  authError: 4,
  sessionExpired: 5,
  connectDuplicate: 6,
} as const;
export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode];

/** Names by code, as in the requirement's enum and in the label of `holdfast_closes_total`. */
export const closeCodeNames = [
  "HeartbeatTimeout",
  "ServerError",
  "ServerShutdown",
  "UnpackError",
  "AuthError",
  "SessExpired",
  "ConnectDuplicate",
] as const;
export type CloseCodeName = (typeof closeCodeNames)[number];

/** Our extension: what a client had better do next. What is not said, it decides itself. [§7.1] */
export interface CloseHints {
  /** How long to wait before coming back, 0 to 2^32 - 1. */
  readonly retryAfterMs?: number;
  /** False: do not come back unasked. */
  readonly reconnect?: boolean;
}

/** What the peer is told; null where it is told nothing. */
export interface Ending {
  readonly code: CloseCode | null;
  /** Short English, at most 100 bytes, no secrets. Empty where the code is null. */
  readonly reason: string;
  /** Who ended it: the label `by` of `holdfast_closes_total`. */
  readonly by: "server" | "client" | "network";
  /** Said unless the node is told not to. */
  readonly hints?: CloseHints;
  /** Each peer is told its own time to wait, up to this; `hints` then has none. */
  readonly retrySpreadMs?: number;
}

/** The same again would end the same way, or in a war between two clients of an account. */
const stayAway: CloseHints = { reconnect: false };
/** Memory is given back within seconds as a rule; until then: less to do. */
const waitAWhile: CloseHints = { retryAfterMs: 2_000 };
/** Whoever is turned away in a storm shall not come back together. */
const crowdSpreadMs = 4_000;
/** Of clients that come back by themselves: as long as existing ones wait, and not all at once. */
const shutdownSpreadMs = 2_000;

function server(code: CloseCode, reason: string, hints?: CloseHints): Ending {
  return { code, reason, by: "server", ...(hints === undefined ? {} : { hints }) };
}

export const endings = {
  // The peer stays silent, or does not take what it is sent.
  heartbeatTimeout: server(CloseCode.heartbeatTimeout, "heartbeat timeout"),
  slowConsumer: server(CloseCode.serverError, "slow consumer"),
  // The node's own fault, or its limits.
  serverError: server(CloseCode.serverError, "internal error"),
  storeUnavailable: {
    ...server(CloseCode.serverError, "service unavailable"),
    retrySpreadMs: crowdSpreadMs,
  },
  memoryLimit: server(CloseCode.serverError, "memory limit", waitAWhile),
  serverShutdown: {
    ...server(CloseCode.serverShutdown, "server shutdown"),
    retrySpreadMs: shutdownSpreadMs,
  },
  // Bytes that are not a packet. [§5.10]
  badVersion: server(CloseCode.unpackError, "bad-version", stayAway),
  badCodec: server(CloseCode.unpackError, "bad-codec", stayAway),
  badPlatform: server(CloseCode.unpackError, "bad-platform", stayAway),
  badType: server(CloseCode.unpackError, "bad-type"),
  truncated: server(CloseCode.unpackError, "truncated"),
  trailing: server(CloseCode.unpackError, "trailing"),
  badGzip: server(CloseCode.unpackError, "bad-gzip"),
  tooLarge: server(CloseCode.unpackError, "too-large"),
  badMetadata: server(CloseCode.unpackError, "bad-metadata"),
  textMessage: server(CloseCode.unpackError, "text message"),
  // Login. [§9, D30]
  authTimeout: server(CloseCode.authError, "auth timeout"),
  authRefused: server(CloseCode.authError, "auth refused"),
  unauthenticatedRequests: server(CloseCode.authError, "too many requests before auth"),
  loginLimited: {
    ...server(CloseCode.authError, "login rate limit"),
    retrySpreadMs: crowdSpreadMs,
  },
  sessionRefused: server(CloseCode.sessionExpired, "session expired"),
  sessionEnded: server(CloseCode.sessionExpired, "session ended", stayAway),
  // Its client has a newer connection already: there is nothing to tell it.
  takenOver: server(CloseCode.connectDuplicate, "session taken over"),
  displaced: server(CloseCode.connectDuplicate, "duplicate login", stayAway),
  // Nobody is told anything.
  handshakeTimeout: { code: null, reason: "", by: "server" },
  upgradeDeclined: { code: null, reason: "", by: "server" },
  connectionLimit: { code: null, reason: "", by: "server" },
  // A close frame of the transport's own says why. [§11]
  badFrame: { code: null, reason: "", by: "server" },
  clientLeft: { code: null, reason: "", by: "client" },
  connectionLost: { code: null, reason: "", by: "network" },
} as const satisfies Record<string, Ending>;

export type EndingName = keyof typeof endings;

/** What one peer is told at this ending; undefined: nothing. `random` gives 0 up to 1. */
export function hintsOf(ending: Ending, random: () => number): CloseHints | undefined {
  if (ending.retrySpreadMs === undefined) return ending.hints;
  return { ...ending.hints, retryAfterMs: Math.floor(random() * (ending.retrySpreadMs + 1)) };
}
