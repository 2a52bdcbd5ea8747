/** An upstream: answers commands, pushes, joins topics, hears events; the parts, put together. */
import { type ConnectionOptions, connect, type NatsConnection, type Subscription } from "nats";
import { createEvents, type Events } from "./events.ts";
import { createPushing, type Pushing } from "./push.ts";
import { type CommandHandler, createWorker, type WorkFault } from "./worker.ts";

/** See WorkFault. connection: NATS. notice: an event that is none. */
export type UpstreamFault = WorkFault | "connection" | "notice";

export interface UpstreamOptions {
  /** Options of a connection that is ours, or a connection that stays the caller's. */
  readonly nats: ConnectionOptions | NatsConnection;
  /** The first part of every subject, as the edges have it. Default: hf. */
  readonly prefix?: string;
  /** Processes of one queue share its requests. Default: upstream. */
  readonly queue?: string;
  /** By command, 4 to 255. */
  readonly commands?: Readonly<Record<number, CommandHandler>>;
  /** Where the requests of a command arrive, if the edges have a route of their own for it. */
  readonly subjectOf?: (command: number) => string;
  /** Handlers that run at once. Default: 256. */
  readonly concurrency?: number;
  /** Requests that wait for their turn; more are answered 7 / 503. Default: 4096. */
  readonly waitingMax?: number;
  /**
   * By how many milliseconds the clocks of the edges and of this machine differ at most. A request
   * that comes later than that after its deadline is not handled: its client has been told 408 or
   * 503, perhaps long ago. Default: not set, and no clock is trusted.
   */
  readonly clockSkewMaxMs?: number;
  /** How long `stop` waits for handlers. Default: 10 s. */
  readonly stopTimeoutMs?: number;
  /** Called for everything that went wrong and nobody else was told of. MUST NOT throw. */
  readonly onFault?: (fault: UpstreamFault, error: unknown) => void;
}

export interface Upstream extends Pushing {
  readonly events: Events;
  readonly client: NatsConnection;
  isConnected(): boolean;
  /** Takes no more requests, finishes those it has, hangs up if the connection is ours. Once. */
  stop(): Promise<void>;
}

const concurrencyDefault = 256;
const waitingMaxDefault = 4096;
const stopTimeoutMsDefault = 10_000;
const confirmTimeoutMs = 5_000;
const prefixPattern = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;

/** Resolves when the subscriptions stand; rejects when NATS cannot be reached or refuses them. */
export async function createUpstream(options: UpstreamOptions): Promise<Upstream> {
  const { prefix = "hf", commands = {}, onFault = () => {} } = options;
  if (!prefixPattern.test(prefix)) throw new RangeError(`Cannot use subject prefix "${prefix}"`);
  const numbers = Object.keys(commands).map(Number);
  const wrong = numbers.find((command) => !isCommand(command));
  if (wrong !== undefined) throw new RangeError(`Cannot answer command ${wrong}: 4 to 255`);
  const { clockSkewMaxMs = null } = options;
  if (clockSkewMaxMs !== null && !(clockSkewMaxMs >= 0)) {
    throw new RangeError(`Cannot allow for clocks that differ by ${clockSkewMaxMs} ms: 0 or more`);
  }
  const isOurs = !isConnection(options.nats);
  const client = isConnection(options.nats) ? options.nats : await dial(options.nats);
  const line = watchLine(client, onFault);
  const worker = createWorker({
    concurrency: options.concurrency ?? concurrencyDefault,
    waitingMax: options.waitingMax ?? waitingMaxDefault,
    clockSkewMaxMs,
    onFault,
  });
  const events = createEvents({ client, prefix, onFault });
  let stopping: Promise<void> | null = null;
  const subscriptions: Subscription[] = [];
  try {
    await listen();
  } catch (error) {
    await stop();
    throw error;
  }

  return {
    ...createPushing({ client, prefix, isConnected }),
    events: { on: events.on },
    client,
    isConnected,
    stop: () => (stopping ??= stop()),
  };

  function isConnected(): boolean {
    return line.isUp() && stopping === null && !client.isClosed();
  }

  async function listen(): Promise<void> {
    const refusals: Error[] = [];
    const subjectOf = options.subjectOf ?? ((command: number) => `${prefix}.cmd.${command}`);
    for (const [command, handler] of Object.entries(commands)) {
      const subscription = client.subscribe(subjectOf(Number(command)), {
        queue: options.queue ?? "upstream",
        callback(error, message) {
          if (error === null) worker.take(message, handler);
          else {
            refusals.push(error);
            onFault("connection", error);
          }
        },
      });
      subscriptions.push(subscription);
    }
    await within(confirmTimeoutMs, client.flush());
    const [refusal] = refusals;
    if (refusal) throw new Error("Cannot listen for requests", { cause: refusal });
  }

  async function stop(): Promise<void> {
    const all = [...subscriptions, ...events.subscriptions].filter((one) => !one.isClosed());
    const timeoutMs = options.stopTimeoutMs ?? stopTimeoutMsDefault;
    // Requests that are under way to us still come: another of the queue would not get them.
    await within(timeoutMs, Promise.allSettled(all.map((one) => one.drain())));
    await worker.finish(timeoutMs);
    await within(confirmTimeoutMs, client.flush()).catch(() => {}); // there may be nobody
    line.stop();
    if (isOurs) await client.close();
  }
}

function isCommand(command: number): boolean {
  return Number.isInteger(command) && command >= 4 && command <= 255;
}

function isConnection(nats: ConnectionOptions | NatsConnection): nats is NatsConnection {
  return "publish" in nats;
}

/** It never gives up: an outage of a minute must not be for ever. */
function dial(options: ConnectionOptions): Promise<NatsConnection> {
  return connect({
    ...{ name: "upstream", maxReconnectAttempts: -1, ignoreAuthErrorAbort: true },
    ...{ reconnectTimeWait: 500, reconnectJitter: 500, pingInterval: 5_000, noAsyncTraces: true },
    ...options,
  });
}

/** Knows whether the line is up, which the library does not tell who asks. */
function watchLine(client: NatsConnection, onFault: (fault: "connection", error: unknown) => void) {
  const statuses = client.status();
  let isUp = true;
  let isStopped = false;
  void watch().catch((error: unknown) => onFault("connection", error));
  return {
    isUp: () => isUp && !isStopped,
    stop() {
      isStopped = true;
    },
  };

  async function watch(): Promise<void> {
    for await (const { type, data } of statuses) {
      if (isStopped) return;
      if (type === "disconnect" || type === "staleConnection") isUp = false;
      if (type === "reconnect") isUp = true;
      if (type === "error") onFault("connection", new Error(String(data)));
    }
  }
}

async function within<Value>(timeoutMs: number, promise: Promise<Value>): Promise<Value | null> {
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), timeoutMs);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
