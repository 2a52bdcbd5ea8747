/**
 * The door to Redis: opens a connection to one node, to a Sentinel's primary or to a Cluster, and
 * makes a registry over it. It reconnects for ever by itself and gives up each call in time; the
 * options are the ones that were measured under kill, hang and failover. [M4] [M5] [M6]
 */
import { readFile } from "node:fs/promises";
import { Cluster, Redis, type RedisOptions } from "ioredis";
import { isRefusalToWrite } from "./faults.ts";
import { createRedisClock } from "./redis-clock.ts";
import { createPrimaryWatch } from "./redis-primaries.ts";
import { isFinal, reason, type Witness, watchStart } from "./redis-reason.ts";
import { createRegistryOver, type OnFault, type ScriptRunner } from "./redis-registry.ts";
import { keepAlive } from "./redis-revive.ts";
import { describe, parseRedisUrl, type RedisPlace } from "./redis-url.ts";
import { loadScripts, type Script } from "./scripts.ts";
import { defaultRegistrySettings, type RegistrySettings, type SessionRegistry } from "./session.ts";

export { createRedisLedger } from "./redis-ledger.ts";
export { createRedisTurn } from "./redis-turn.ts";

export interface RedisConnection extends ScriptRunner {
  /**
   * An own probe was answered in the last 3 s, in a Cluster by any primary; and the only primary
   * has not refused to write in the last 2 s.
   */
  isUp(): boolean;
  /**
   * How far this process' wall clock is ahead of Redis', in milliseconds and within a round trip;
   * null while Redis has not told its time lately. For people only: nothing here goes by it.
   */
  clockOffsetMs(): number | null;
  /** Asks now. Never throws. */
  ping(): Promise<boolean>;
  close(): Promise<void>;
}

export interface RedisSettings {
  /** See redis-url.ts. User and password may stand in it, or here. */
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  /** Of the Sentinels themselves, which have their own users. */
  readonly sentinelUsername?: string | null;
  readonly sentinelPassword?: string | null;
  /** The certificate authority to trust, a PEM file. Only with `rediss`. */
  readonly caFile?: string | null;
  /** It must have answered by then. */
  readonly startTimeoutMs?: number; // default 10 s
  /**
   * So many primaries write although no replica hears them, under Sentinel or in a Cluster. Told at
   * the start if it is any, and when it changes.
   */
  readonly onUnguarded?: (primaries: number) => void;
  /** A primary is another Redis than before: promoted, or restarted. */
  readonly onEpochChange?: () => void;
  /** Trouble that no call was waiting for. */
  readonly onFault?: OnFault;
}

export function createRedisRegistry(options: {
  readonly redis: ScriptRunner;
  readonly settings?: RegistrySettings;
  readonly prefix?: string;
  /** Each call that failed, with the script's name; the caller of it is told as well. */
  readonly onFault?: OnFault;
  /** A renewal found no seat in Redis and put it back from what its node knows. */
  readonly onRestored?: () => void;
}): SessionRegistry {
  const { redis, settings = defaultRegistrySettings, prefix = "hf", onFault = () => {} } = options;
  const { firstLeaseMs } = settings;
  return createRegistryOver({
    ...{ redis, scripts: loadScripts(settings), prefix, firstLeaseMs, onFault },
    ...(options.onRestored === undefined ? {} : { onRestored: options.onRestored }),
  });
}

const COMMAND_TIMEOUT_MS = 800;
const CALL_TIMEOUT_MS = 900; // all in all: redirections of a Cluster, a script that must be loaded
/** For two clocks that do not run quite alike. */
const LATE_SLACK_MS = 50;
const NOW_VALID_MS = 600_000;
const SOCKET_TIMEOUT_MS = 1_500;
const START_TIMEOUT_MS = 10_000;
const PROBE_INTERVAL_MS = 1_000;
const PROBE_VALID_MS = 3_000;
const REFUSED_VALID_MS = 2_000;
const BACKOFF_MS_MAX = 1_000;
const VERSION_LEAST = 7; // PEXPIREAT inside scripts replicated by effect, TIME before a write

/** Resolves when Redis answers and is new enough; rejects with one line that says what is wrong. */
export async function connectRedis(settings: RedisSettings): Promise<RedisConnection> {
  const { onFault = () => {} } = settings;
  const place = parseRedisUrl(settings.url);
  const common = await commonOptions(place, settings);
  const client = createClient(place, common, settings);
  client.on("error", (error) => onFault("connection", error));
  const letGo = keepAlive(client);
  const witness = watchStart(
    client,
    place.hosts.map((host) => ({ ...common, ...host })),
  );
  try {
    await ready(client, settings.startTimeoutMs ?? START_TIMEOUT_MS, witness);
    await checkVersions(client);
  } catch (error) {
    letGo();
    client.disconnect();
    throw new Error(`Cannot use Redis ${describe(place)}: ${reason(error)}`, { cause: error });
  } finally {
    witness.stop();
  }
  const { onUnguarded = () => {}, onEpochChange = () => {} } = settings;
  const { look } = createPrimaryWatch({
    primaries: () => primariesOf(client),
    isReplicated: place.kind !== "single",
    ...{ onUnguarded, onEpochChange },
  });
  const connection = toConnection(client, { look, letGo });
  await Promise.all([connection.ping(), look()]); // for its time, and its replicas
  return connection;
}

/** Replies come as they always did; the other mapping has a type of its own. */
type NodeOptions = Omit<RedisOptions, "replyMapping">;

async function commonOptions(place: RedisPlace, settings: RedisSettings): Promise<NodeOptions> {
  const username = settings.username ?? place.username;
  const password = settings.password ?? place.password;
  const { caFile = null } = settings;
  if (caFile !== null && !place.isTls) {
    throw new Error("Cannot use a CA file with redis://: it needs rediss://");
  }
  const ca = caFile === null ? {} : { ca: await readFile(caFile, "utf8") };
  return {
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password }),
    ...(place.isTls ? { tls: ca } : {}),
    ...{ db: place.db, lazyConnect: true, protocol: 2, disableClientInfo: true },
    ...{ connectionName: "holdfast", connectTimeout: 2_000, keepAlive: 10_000 },
    ...{ commandTimeout: COMMAND_TIMEOUT_MS, socketTimeout: SOCKET_TIMEOUT_MS },
    // What cannot be sent now is refused now: a login that waits in a queue helps nobody.
    ...{ enableOfflineQueue: false, maxRetriesPerRequest: 0 },
    // A call that was given up must not be sent again by a later connection.
    autoResendUnfulfilledCommands: false,
    retryStrategy: backoffMs,
    // A demoted primary: look for the new one.
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
  };
}

function createClient(
  place: RedisPlace,
  common: NodeOptions,
  settings: RedisSettings,
): Redis | Cluster {
  const [first] = place.hosts;
  if (place.kind === "cluster") return new Cluster([...place.hosts], clusterOptions(place, common));
  if (place.kind === "single") return new Redis({ ...common, ...first });
  const { sentinelUsername = null, sentinelPassword = null } = settings;
  return new Redis({
    ...common,
    ...{ sentinels: [...place.hosts], name: place.primaryName, role: "master" },
    ...(sentinelUsername === null ? {} : { sentinelUsername }),
    ...(sentinelPassword === null ? {} : { sentinelPassword }),
    ...(common.tls ? { sentinelTLS: common.tls, enableTLSForSentinelMode: true } : {}),
    ...{ sentinelCommandTimeout: COMMAND_TIMEOUT_MS, sentinelRetryStrategy: backoffMs },
    // A primary that hangs keeps its connections: only Sentinel's word moves us away. [M5]
    ...{ failoverDetector: true, sentinelReconnectStrategy: backoffMs },
  });
}

function clusterOptions(place: RedisPlace, common: NodeOptions) {
  const { retryStrategy: _, ...redisOptions } = common; // a Cluster replaces its nodes instead
  return {
    ...{ redisOptions, lazyConnect: true, enableOfflineQueue: false },
    ...{ clusterRetryStrategy: backoffMs, slotsRefreshTimeout: 1_000, slotsRefreshInterval: 5_000 },
    // At most half a second of waiting for a slot: no call is sent after it was given up.
    maxRedirections: 5,
    // A certificate names hosts, so their names must not be replaced by addresses.
    ...(place.isTls
      ? {
          dnsLookup: (host: string, found: (error: null, address: string) => void) =>
            found(null, host),
        }
      : {}),
  };
}

/** Doubles up to a second, in random parts, so that nodes do not come back in step. */
function backoffMs(attempt: number): number {
  return Math.min(BACKOFF_MS_MAX, 25 * 2 ** Math.min(attempt, 10)) * (0.5 + Math.random() / 2);
}

/** Connects, again and again within a bound; a refused password or certificate is final. */
async function ready(client: Redis | Cluster, timeoutMs: number, witness: Witness): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const deadline = setTimeout(
    () => reject(witness.last() ?? new Error(`no answer within ${timeoutMs} ms`)),
    timeoutMs,
  );
  const watch = setInterval(() => {
    if (isFinal(witness.last())) reject(witness.last());
  }, 20);
  client.once("ready", resolve);
  client.connect().catch(() => {}); // said by the error events, and it goes on trying
  try {
    await promise;
  } finally {
    clearTimeout(deadline);
    clearInterval(watch);
  }
}

async function checkVersions(client: Redis | Cluster): Promise<void> {
  await Promise.all(
    primariesOf(client).map(async (node) => {
      const info = await node.info("server");
      const version = /redis_version:(\S+)/.exec(info)?.[1] ?? "unknown";
      if (Number.parseInt(version, 10) >= VERSION_LEAST) return;
      throw new Error(`version ${version} is too old: Holdfast needs Redis 7.0 or newer`);
    }),
  );
}

function primariesOf(client: Redis | Cluster): Redis[] {
  return client instanceof Cluster ? client.nodes("master") : [client];
}

/** `look`: at each probe. `letGo`: before the client is ended on purpose. */
function toConnection(
  client: Redis | Cluster,
  { look, letGo }: { readonly look: () => Promise<void>; readonly letGo: () => void },
): RedisConnection {
  let answeredMs = performance.now(); // the start just asked
  let refusedMs = Number.NEGATIVE_INFINITY;
  let isProbing = false;
  const clock = createRedisClock();
  const scripts = {}; // tell the time, too, and not which node's
  const preloaded = new Map<string, Script>(); // by sha
  const probe = setInterval(async () => {
    if (isProbing) return;
    isProbing = true;
    await Promise.all([ping(), look()]);
    isProbing = false;
  }, PROBE_INTERVAL_MS);
  probe.unref();
  if (client instanceof Cluster) {
    client.nodes().forEach(watch);
    client.on("+node", watch);
  } else watch(client);

  return {
    isCluster: client instanceof Cluster,
    run: (script, keys, args) =>
      within(CALL_TIMEOUT_MS, runScript(client, script, keys, args).catch(noteRefusal)),
    preload(scripts) {
      for (const script of scripts) preloaded.set(script.sha, script);
      for (const node of primariesOf(client)) load(node, scripts);
    },
    lateAfterMs: () => clock.at(performance.now() + CALL_TIMEOUT_MS + LATE_SLACK_MS),
    nowMs() {
      const nowMs = performance.now();
      // Right after this process stood still no clock has been heard for long.
      return clock.at(nowMs) ?? clock.at(nowMs, NOW_VALID_MS);
    },
    heardTime(timeMs, askedMs) {
      // To the millisecond: the question came before the next one began.
      const answeredMs = performance.now();
      clock.heard(scripts, { timeMs: timeMs + 1, askedMs, answeredMs: answeredMs + 1 });
    },
    clockOffsetMs() {
      const redisMs = clock.at(performance.now());
      return redisMs === null ? null : Date.now() - redisMs;
    },
    isUp() {
      const nowMs = performance.now();
      return nowMs - answeredMs < PROBE_VALID_MS && nowMs - refusedMs >= REFUSED_VALID_MS;
    },
    ping,
    async close() {
      clearInterval(probe);
      letGo();
      const isEnded = client.status === "end";
      const ended = new Promise((resolve) => client.once("end", resolve));
      client.disconnect();
      if (!isEnded) await within(COMMAND_TIMEOUT_MS, ended).catch(() => {});
    },
  };

  function watch(node: Redis): void {
    node.on("ready", () => {
      // Another Redis may answer there now, by another clock.
      clock.forget(node);
      clock.forget(scripts);
      readTime(node).catch(() => {}); // the next probe asks again
      load(node, preloaded.values());
    });
  }

  /** It answers every probe, and lets nobody in. One primary of a Cluster is not all of it. */
  function noteRefusal(error: unknown): never {
    if (!(client instanceof Cluster) && isRefusalToWrite(error)) refusedMs = performance.now();
    throw error;
  }

  async function ping(): Promise<boolean> {
    const asked = primariesOf(client).map((node) => within(CALL_TIMEOUT_MS, readTime(node)));
    const isAnswered = await Promise.any(asked).then(
      () => true,
      () => false,
    );
    if (isAnswered) answeredMs = performance.now();
    return isAnswered;
  }

  async function readTime(node: Redis): Promise<void> {
    const askedMs = performance.now();
    const [seconds, microseconds] = await node.time();
    const timeMs = Number(seconds) * 1000 + Number(microseconds) / 1000;
    clock.heard(node, { timeMs, askedMs, answeredMs: performance.now() });
  }
}

/** A failure costs nothing: each call brings its script along when the cache does not know it. */
function load(node: Redis, scripts: Iterable<Script>): void {
  for (const { source } of scripts) node.script("LOAD", source).catch(() => {});
}

async function runScript(
  client: Redis | Cluster,
  script: Script,
  keys: readonly string[],
  args: readonly string[],
): Promise<unknown> {
  const rest = [keys.length, ...keys, ...args];
  try {
    return await client.call("EVALSHA", script.sha, ...rest);
  } catch (error) {
    // Not in the cache: a new primary, or a restarted one. It has done nothing, so ask again.
    if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
    return await client.call("EVAL", script.source, ...rest);
  }
}

async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`Call timed out after ${limitMs} ms`)), limitMs);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
