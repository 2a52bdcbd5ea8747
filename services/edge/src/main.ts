/** One edge as a process: reads the configuration, chooses implementations, runs. Nothing else. */
import { connectNats, createNatsBus } from "@holdfast/cluster/nats";
import { createLog, createMetrics, printable, runService, SettingsError } from "@holdfast/runtime";
import { faultOf } from "@holdfast/session";
import { connectRedis, createRedisRegistry, createRedisTurn } from "@holdfast/session/redis";
import { commandsOf, type EdgeConfig, edgeSettings, readEdgeConfig } from "./config.ts";
import { watchDependencies } from "./dependencies.ts";
import { createEdgeMetrics } from "./metrics.ts";
import { createEdgeService, type EdgeService } from "./service.ts";
import { createEchoUpstream } from "./upstream/memory.ts";

function main(): void {
  const { config, values, unknown } = readEdgeConfig(process.env);
  const log = createLog({ service: "edge", node: config.nodeId, level: config.logLevel });
  log.info("configured", { settings: printable(edgeSettings, values) });
  if (unknown.length > 0) log.warn("settings_unknown", { names: unknown });
  const metrics = createMetrics();
  const counts = createEdgeMetrics(metrics);
  const { redisUrl, natsUrl } = required(config);

  let redis: Awaited<ReturnType<typeof connectRedis>> | null = null;
  let nats: Awaited<ReturnType<typeof connectNats>> | null = null;
  let service: EdgeService | null = null;
  const onRedisFault = (_stage: string, error: unknown) => counts.redisFailed(faultOf(error));
  const onNatsFault = (fault: string) => counts.natsFailed(fault);
  const watch = watchDependencies(log, {
    redis: () => redis?.isUp() ?? false,
    nats: () => nats?.isConnected() ?? false,
  });

  const redisPart = {
    name: "redis",
    async start() {
      redis = await connectRedis({
        url: redisUrl,
        startTimeoutMs: config.startTimeoutMs,
        ...(config.redisCaFile === null ? {} : { caFile: config.redisCaFile }),
        onFault: onRedisFault,
      });
    },
    stop: async () => redis?.close(),
  };
  const natsPart = {
    name: "nats",
    async start() {
      nats = await connectNats({
        urls: natsUrl,
        name: config.nodeId,
        startTimeoutMs: config.startTimeoutMs,
        credentialsFile: config.natsCredentialsFile ?? undefined,
        tls: config.natsCaFile === null ? undefined : { caFile: config.natsCaFile },
        onFault: onNatsFault,
        onReconnect: () => counts.natsReconnects.inc(),
        onStatus: ({ type }) => log.info("nats_status", { type }),
      });
    },
    stop: async () => nats?.close(),
  };
  const edgePart = {
    name: "edge",
    async start() {
      if (redis === null || nats === null) throw new Error("Cannot start before Redis and NATS");
      const prefix = config.redisPrefix ?? "hf";
      service = createEdgeService({
        config,
        registry: createRedisRegistry({
          redis,
          settings: config.registry,
          prefix,
          onFault: onRedisFault,
        }),
        bus: createNatsBus({ connection: nats, onFault: onNatsFault }),
        upstream: createEchoUpstream(commandsOf(config.echoCommands)),
        log,
        metrics,
        counts,
        turn: createRedisTurn({ redis, prefix }),
        isRedisUp: redis.isUp,
        isNatsUp: nats.isConnected,
        stop: (reason) => running.stop(reason),
      });
      for (const part of service.parts) await part.start();
      watch.start();
    },
    async stop() {
      watch.stop();
      for (const part of service?.parts.toReversed() ?? []) await part.stop();
    },
  };
  const running = runService({
    log,
    parts: [redisPart, natsPart, edgePart],
    drain: async () => service?.drain(),
    deadlineMs: config.drainDeadlineMs,
  });
}

/** What an edge of one process does without, but this one stands on. */
function required(config: EdgeConfig): { readonly redisUrl: string; readonly natsUrl: string } {
  const { redisUrl, natsUrl } = config;
  if (redisUrl !== null && natsUrl !== null) return { redisUrl, natsUrl };
  const missing = [redisUrl ?? "EDGE_REDIS_URL", natsUrl ?? "EDGE_NATS_URL"];
  const names = missing.filter((name) => name.startsWith("EDGE_"));
  throw new SettingsError(names.map((name) => `${name} is not set: an edge cannot do without`));
}

try {
  main();
} catch (error) {
  if (!(error instanceof SettingsError)) throw error;
  process.stderr.write(`Cannot start: the configuration has mistakes\n${error.message}\n`);
  process.exit(1);
}
