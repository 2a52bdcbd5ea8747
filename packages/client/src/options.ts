/** Every knob of a client, with its default. */
import type { DecoderLimits, LoginMetadata, Version } from "@holdfast/protocol";
import { openTransport } from "#open-transport";
import { type ClientClock, clientClock } from "./alarms.ts";
import type { OpenTransport } from "./transport.ts";

/** A secret, as good as a password until it expires. Never log it. */
export interface Session {
  readonly sessionId: string;
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number;
}

export type ClientState = "idle" | "connecting" | "open" | "reconnecting" | "stopped";

/** The signal ends when the token is not needed any more. */
export type FetchToken = (context: { readonly signal: AbortSignal }) => Promise<string>;

export interface ClientOptions {
  /** `tcp://`, `ws://` or `wss://`; each is tried before any is tried again. */
  readonly urls: readonly string[];
  /** Which of `urls` comes first; the others follow in their order. */
  readonly firstUrl?: number; // default: an order that each client draws
  /** Fetches a one-time password. Called for each Auth, while a connection is open. */
  readonly token: FetchToken;
  readonly version?: Version; // default 1
  readonly platform?: number; // default 9
  /** Kept with the session. [§7.6] */
  readonly metadata?: LoginMetadata;
  /** From an earlier run: the first login resumes it. */
  readonly session?: Session;
  /** After twice as long without a sign of life the connection is given up. */
  readonly heartbeatIntervalMs?: number; // default 45,000: above half of a server's 60,000
  readonly requestTimeoutMs?: number; // default 10,000
  readonly dialTimeoutMs?: number; // default 5,000
  /** From the open connection to the answered login, the token included. */
  readonly loginTimeoutMs?: number; // default 20,000
  /** How long `connect` tries before it rejects. Coming back later has no such end. */
  readonly connectTimeoutMs?: number; // default 30,000
  readonly backoff?: { readonly firstMs: number; readonly maxMs: number }; // default 500, 15,000
  /** "resume" takes the place back when another connection took it. */
  readonly onDuplicate?: "stop" | "resume"; // default "stop"
  /** The longest wait that a server may ask for before the next attempt. */
  readonly retryAfterMaxMs?: number; // default 300,000
  /** Requests that may wait for a login that is under way; each has its own deadline. */
  readonly queueMax?: number; // default 0: a request without a connection is refused at once
  /** Closes the client. */
  readonly signal?: AbortSignal;
  readonly inflightMax?: number; // default 256 unanswered requests
  readonly outboundBytesMax?: number; // default 8 MiB
  /** What a received body may inflate to. */
  readonly inflatedBytesMax?: number; // default 16 MiB
  readonly tickMs?: number; // default 100: how late a deadline may be
  readonly onState?: (state: ClientState) => void;
  /** Gets what a handler threw. Without it, it is thrown where nobody catches it. */
  readonly onHandlerError?: (error: unknown) => void;
  readonly random?: () => number;
  readonly clock?: ClientClock;
  readonly openTransport?: OpenTransport;
}

export interface Settings {
  readonly version: Version;
  readonly platform: number;
  readonly metadata: LoginMetadata;
  readonly heartbeatIntervalMs: number;
  readonly requestTimeoutMs: number;
  readonly dialTimeoutMs: number;
  readonly loginTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly backoff: { readonly firstMs: number; readonly maxMs: number };
  readonly onDuplicate: "stop" | "resume";
  readonly retryAfterMaxMs: number;
  readonly queueMax: number;
  readonly inflightMax: number;
  readonly outboundBytesMax: number;
  readonly limits: DecoderLimits;
  readonly tickMs: number;
  readonly firstUrl: number | null;
  readonly random: () => number;
  readonly clock: ClientClock;
  readonly openTransport: OpenTransport;
}

export function readOptions(options: ClientOptions): Settings {
  const { urls, random = Math.random } = options;
  if (urls.length === 0) throw new RangeError("Cannot create client: it needs at least one URL");
  return {
    version: options.version ?? 1,
    platform: options.platform ?? 9,
    metadata: options.metadata ?? {},
    heartbeatIntervalMs: options.heartbeatIntervalMs ?? 45_000,
    requestTimeoutMs: options.requestTimeoutMs ?? 10_000,
    dialTimeoutMs: options.dialTimeoutMs ?? 5_000,
    loginTimeoutMs: options.loginTimeoutMs ?? 20_000,
    connectTimeoutMs: options.connectTimeoutMs ?? 30_000,
    backoff: options.backoff ?? { firstMs: 500, maxMs: 15_000 },
    onDuplicate: options.onDuplicate ?? "stop",
    retryAfterMaxMs: options.retryAfterMaxMs ?? 300_000,
    queueMax: options.queueMax ?? 0,
    inflightMax: options.inflightMax ?? 256,
    outboundBytesMax: options.outboundBytesMax ?? 8 * 1024 * 1024,
    limits: {
      bodyBytesMax: 16_777_215,
      inflatedBytesMax: options.inflatedBytesMax ?? 16 * 1024 * 1024,
      heartbeatBytesMax: 64 * 1024,
    },
    tickMs: options.tickMs ?? 100,
    firstUrl: options.firstUrl ?? null,
    random,
    clock: options.clock ?? clientClock,
    openTransport: options.openTransport ?? openTransport,
  };
}
