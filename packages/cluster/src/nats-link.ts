/**
 * One connection of this process to NATS, for the bus and for requests to upstreams. It comes back
 * by itself for as long as the process lives, and knows when it is not worth writing to: nothing is
 * ever kept for later.
 */
import { readFileSync } from "node:fs";
import {
  type Authenticator,
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  ErrorCode,
  type NatsConnection,
  NatsError,
  type PublishOptions,
} from "nats";
import type { BusFault } from "./bus.ts";
import { withDeadline } from "./deadline.ts";
import type { Draft } from "./draft.ts";
import { explain } from "./nats-address.ts";
import { createDrafts } from "./nats-draft.ts";
import { type TakeOptions, takeMessages } from "./nats-take.ts";
import { bytesReadBy, mendTransport } from "./nats-transport.ts";
import { type NatsAddress, parseNatsUrls } from "./nats-urls.ts";
import { createPulse } from "./pulse.ts";
import { createWindow } from "./window.ts";

export interface NatsLinkOptions {
  /** `nats://host:4222`, several separated by commas; `tls://` insists on TLS. */
  readonly urls: string;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly token?: string | undefined;
  /** A file with a JWT and its seed; read again at every connect, so it may be replaced. */
  readonly credentialsFile?: string | undefined;
  /** Given, even empty: without TLS there is no connection. */
  readonly tls?: NatsTls | undefined;
  /** Shown by the server in its list of connections. */
  readonly name: string;
  readonly startTimeoutMs: number;
  readonly pingIntervalMs?: number;
  /** Bytes that may be under way to the server and unanswered; more are refused. */
  readonly unconfirmedBytesMax?: number;
  /** May be called for every message; the first argument is all that should become a label. */
  readonly onFault: (fault: BusFault, error: unknown) => void;
  readonly onReconnect?: () => void;
  readonly onStatus?: (status: NatsStatus) => void;
}

export interface NatsTls {
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

export interface NatsStatus {
  /**
   * "silent": the connection stands, and nothing comes; until it is "heard" again, or another is
   * found, it counts as away. "lame-duck": the server is about to leave, and asks its clients to
   * go first.
   */
  readonly type: "silent" | "heard" | "disconnected" | "reconnected" | "lame-duck" | "closed";
  readonly server: string;
}

export interface NatsLink {
  /** For requests and subscriptions. For publishing use `publish`, which keeps nothing. */
  readonly client: NatsConnection;
  /** What the server takes in one message. */
  readonly payloadBytesMax: number;
  isConnected(): boolean;
  /** Called, until the end of the link, each time nobody can answer what is under way. */
  onLoss(lost: () => void): void;
  /** False: not sent, told to `onFault`, and forgotten. Never throws. */
  publish(subject: string, payload: Uint8Array, options?: LinkPublishOptions): boolean;
  /**
   * As `publish`, for one who sends a great many: it writes the message itself, and then calls
   * `send`, or not. Null: told to `onFault`. See nats-draft.ts.
   */
  draft(head: Uint8Array, number: number, bytesMax: number): Draft | null;
  send(headersEnd: number, end: number): void;
  /** As a subscription, for one who gets a great many. Returns what ends it. See nats-take.ts. */
  take(options: TakeOptions): () => void;
  /** True when the server has answered in time. */
  ping(timeoutMs: number): Promise<boolean>;
  /** Sends what is under way, within 5 s, and hangs up. May be called twice. */
  close(): Promise<void>;
}

export interface LinkPublishOptions extends PublishOptions {
  /** What the headers take, for whoever sends more than a few: it counts as under way. */
  readonly headerBytes?: number;
}

const DIAL_TIMEOUT_MS = 2_000;
const DIAL_PAUSE_MS = 200;
const PING_INTERVAL_MS = 2_000; // with two unanswered a connection is left; the pulse is quicker
const LOOK_INTERVAL_MS = 100;
const SILENT_AFTER_LOOKS = 7; // with the two before it, a server that hangs is known within 0.9 s
const LOST_AFTER_LOOKS = 30;
const UNCONFIRMED_BYTES_MAX = 4 * 1024 * 1024;
const MOVE_DELAY_MS_MAX = 500;
const CLOSE_TIMEOUT_MS = 5_000;
const PAYLOAD_BYTES_MAX = 1024 * 1024; // the server's default, until it has told its own

/**
 * Dials again and again while nobody answers: NATS may be starting, too. Rejects within
 * `startTimeoutMs` with one line that says why, and at once when asking again cannot help.
 */
export async function connectNats(options: NatsLinkOptions): Promise<NatsLink> {
  mendTransport();
  const address = parseNatsUrls(options.urls);
  const untilMs = performance.now() + options.startTimeoutMs;
  for (;;) {
    const leftMs = untilMs - performance.now();
    try {
      return createLink(await dial(options, address, leftMs), address, options);
    } catch (error) {
      if (mayAnswerLater(error) && performance.now() + DIAL_PAUSE_MS < untilMs) {
        await Bun.sleep(DIAL_PAUSE_MS);
        continue;
      }
      throw failure(error, options, address);
    }
  }
}

async function dial(
  options: NatsLinkOptions,
  address: NatsAddress,
  leftMs: number,
): Promise<NatsConnection> {
  const dialing = connect(clientOptions(options, address, Math.min(DIAL_TIMEOUT_MS, leftMs)));
  const client = await withDeadline(dialing, leftMs);
  if (client) return client;
  dialing.then(
    (late) => late.close(),
    () => {}, // it failed as well
  );
  throw NatsError.errorForCode(ErrorCode.Timeout);
}

function mayAnswerLater(error: unknown): boolean {
  if (!(error instanceof NatsError)) return false;
  return silences.some((code) => code === error.code);
}

const silences = [ErrorCode.ConnectionRefused, ErrorCode.Timeout, ErrorCode.ConnectionTimeout];

function failure(error: unknown, options: NatsLinkOptions, address: NatsAddress): Error {
  // With TLS 1.3 a server that wants a certificate hangs up only after the handshake.
  const hasNoCertificate = (options.tls || address.isTls) && !options.tls?.certFile;
  const hint = hasNoCertificate ? "; it may want a client certificate" : "";
  const reason = explain(error, { timeoutMs: options.startTimeoutMs, hint });
  const where = address.servers.join(", ");
  return new Error(`Cannot connect to NATS at ${where}: ${reason}`, { cause: error });
}

function clientOptions(
  options: NatsLinkOptions,
  address: NatsAddress,
  timeoutMs: number,
): ConnectionOptions {
  const user = options.user ?? address.user;
  const tls = options.tls ?? (address.isTls ? {} : undefined);
  return {
    servers: [...address.servers],
    name: options.name,
    timeout: timeoutMs,
    // It never gives up: not after ten tries, and not after two refusals of the password either,
    // which may be changed on the server first and here second.
    maxReconnectAttempts: -1,
    ignoreAuthErrorAbort: true,
    waitOnFirstConnect: false,
    reconnectTimeWait: 500,
    reconnectJitter: 500,
    reconnectJitterTLS: 1000,
    pingInterval: options.pingIntervalMs ?? PING_INTERVAL_MS,
    maxPingOut: 2,
    noAsyncTraces: true,
    ...(user ? { user, pass: options.password ?? address.password } : {}),
    ...(options.token ? { token: options.token } : {}),
    ...(options.credentialsFile
      ? { authenticator: credentials(options.credentialsFile, options.onFault) }
      : {}),
    ...(tls ? { tls: present(tls) } : {}),
  };
}

/** A file that cannot be read at a reconnect must not end the connection for good. */
function credentials(file: string, onFault: NatsLinkOptions["onFault"]): Authenticator {
  let last = credsAuthenticator(readFileSync(file));
  return (nonce) => {
    try {
      const next = credsAuthenticator(readFileSync(file));
      const answer = next(nonce);
      last = next;
      return answer;
    } catch (error) {
      onFault("connection", error);
      return last(nonce);
    }
  };
}

function present(tls: NatsTls): { caFile?: string; certFile?: string; keyFile?: string } {
  const { caFile, certFile, keyFile } = tls;
  return {
    ...(caFile ? { caFile } : {}),
    ...(certFile ? { certFile } : {}),
    ...(keyFile ? { keyFile } : {}),
  };
}

function createLink(
  client: NatsConnection,
  address: NatsAddress,
  options: NatsLinkOptions,
): NatsLink {
  const { onFault, onReconnect, onStatus } = options;
  const listeners: (() => void)[] = [];
  let isUp = true;
  let closing: Promise<void> | null = null;
  const window = createWindow({
    bytesMax: options.unconfirmedBytesMax ?? UNCONFIRMED_BYTES_MAX,
    confirm: () => client.flush(),
  });
  const pulse = createPulse({
    ...{ silentAfter: SILENT_AFTER_LOOKS, lostAfter: LOST_AFTER_LOOKS },
    ask: () => void client.flush().catch(() => {}), // the connection was lost
  });
  const drafts = createDrafts(client);
  let nextLook = setTimeout(look, LOOK_INTERVAL_MS);
  void watch().catch((error: unknown) => onFault("connection", error));
  void client.closed().then((reason) => closed(reason ?? null));

  return {
    client,
    get payloadBytesMax() {
      return client.info?.max_payload ?? PAYLOAD_BYTES_MAX;
    },
    isConnected,
    onLoss: (lost) => void listeners.push(lost),
    publish,
    draft,
    take: (options) => takeMessages(client, options),
    send: (headersEnd, end) => window.sent(drafts.send(headersEnd, end)),
    ping,
    close() {
      closing ??= end();
      return closing;
    },
  };

  function isConnected(): boolean {
    return isUp && !pulse.isSilent && closing === null && !client.isClosed();
  }

  /** One timer after the other, so that there is a turn of the event loop between two looks. */
  function look(): void {
    nextLook = setTimeout(look, LOOK_INTERVAL_MS);
    if (!isUp) return;
    switch (pulse.look(bytesReadBy(client))) {
      case "silent":
        lose();
        tell("silent");
        break;
      case "heard":
        tell("heard");
        break;
      case "lost": // another server may answer, or a new way to this one
        void client.reconnect();
        break;
      default:
    }
  }

  function lose(): void {
    for (const lost of listeners) lost();
  }

  /** Throws. The library would take it, hold it, and send it never. */
  function mayPublish(what: string, bytes: number): void {
    if (!isConnected()) throw new Error(`Cannot publish to ${what}: NATS is not connected`);
    if (window.hasRoom(bytes)) return;
    throw new Error(`Cannot publish to ${what}: NATS does not keep up with what it gets`);
  }

  function publish(subject: string, payload: Uint8Array, extra?: LinkPublishOptions): boolean {
    try {
      const bytes = subject.length + payload.length + (extra?.headerBytes ?? 0);
      mayPublish(subject, bytes);
      client.publish(subject, payload, extra);
      window.sent(bytes);
      return true;
    } catch (error) {
      onFault("publish", error);
      return false;
    }
  }

  function draft(head: Uint8Array, number: number, bytesMax: number): Draft | null {
    try {
      mayPublish("an upstream", bytesMax);
      const begun = drafts.begin(head, number, bytesMax);
      if (begun === null) throw new Error("Cannot publish to an upstream: NATS is not connected");
      return begun;
    } catch (error) {
      onFault("publish", error);
      return null;
    }
  }

  async function ping(timeoutMs: number): Promise<boolean> {
    if (!isConnected()) return false;
    const answered = client.flush().then(
      () => true,
      () => false,
    );
    return (await withDeadline(answered, timeoutMs)) ?? false;
  }

  async function watch(): Promise<void> {
    for await (const status of client.status()) {
      switch (status.type) {
        case "staleConnection":
          isUp = false; // the library says "disconnect" next
          lose();
          break;
        case "disconnect":
          isUp = false;
          lose();
          tell("disconnected");
          break;
        case "reconnect":
          isUp = true;
          pulse.reset();
          tell("reconnected");
          onReconnect?.();
          break;
        case "ldm":
          tell("lame-duck");
          void moveOn().catch((error: unknown) => onFault("connection", error));
          break;
        case "error":
          onFault(status.permissionContext ? "publish" : "connection", refusal(status));
          break;
        default: // pings and news of the cluster
      }
    }
  }

  function tell(type: NatsStatus["type"]): void {
    onStatus?.({ type, server: client.getServer() });
  }

  /** Alone there is nowhere to go: then it stays until it is thrown out, and comes back. */
  async function moveOn(): Promise<void> {
    const here = client.getServer();
    const known = [...address.servers, ...(client.info?.connect_urls ?? [])];
    if (known.every((server) => server === here)) return;
    await Bun.sleep(Math.random() * MOVE_DELAY_MS_MAX); // not every node in the same moment
    await ping(MOVE_DELAY_MS_MAX); // what was sent so far has arrived
    if (isConnected() && client.getServer() === here) await client.reconnect();
  }

  async function end(): Promise<void> {
    clearTimeout(nextLook);
    if (client.isClosed()) return;
    if (isUp) await withDeadline(client.drain(), CLOSE_TIMEOUT_MS).catch(() => {});
    await client.close();
  }

  function closed(reason: Error | null): void {
    isUp = false;
    clearTimeout(nextLook);
    lose();
    tell("closed");
    if (closing === null) onFault("connection", reason ?? new Error("NATS connection was closed"));
  }
}

function refusal(status: {
  readonly data: unknown;
  readonly permissionContext?: { operation: string; subject: string };
}): Error {
  const { permissionContext } = status;
  if (!permissionContext) return new Error(`NATS reports an error: ${String(status.data)}`);
  const { operation, subject } = permissionContext;
  return new Error(`NATS permits no ${operation} of ${subject}`);
}
