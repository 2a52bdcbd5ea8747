/**
 * One edge as a process: reads the configuration, chooses implementations, runs. Nothing else. With
 * --check-config the configuration is read and shown, and nothing is run.
 */
import assert from "node:assert/strict";
import { connectNats, createNatsBus } from "@holdfast/cluster/nats";
import {
  buildOf,
  createLog,
  createMetrics,
  printable,
  runService,
  SettingsError,
  systemClock,
} from "@holdfast/runtime";
import { faultOf } from "@holdfast/session";
import {
  connectRedis,
  createRedisLedger,
  createRedisRegistry,
  createRedisTurn,
} from "@holdfast/session/redis";
import manifest from "../package.json";
import { createEdgeAdmin } from "./admin.ts";
import { watchDependencies } from "./dependencies.ts";
import { createEdgeService, type EdgeService } from "./edge-service.ts";
import { createEdgeMetrics } from "./metrics.ts";
import { createNatsPush, type NatsPush } from "./push/nats-push.ts";
import { createOrderMetrics } from "./push/order-metrics.ts";
import { commandsOf, edgeSettings } from "./settings.ts";
import { edgeSummary, readEdgeStartup } from "./startup.ts";
import { createEchoUpstream } from "./upstream/memory.ts";
import { createNatsUpstream, type NatsUpstream } from "./upstream/nats.ts";
import { combineUpstreams } from "./upstream/upstream.ts";

async function main(): Promise<void> {
  const startup = await readEdgeStartup(process.env);
  const { config, values, unknown, routes, topicRules } = startup;
  const settings = printable(edgeSettings, values);
  if (process.argv.includes("--check-config")) {
    process.stdout.write(edgeSummary(startup));
    return;
  }
  const log = createLog({ service: "edge", node: config.nodeId, level: config.logLevel });
  log.info("configured", { settings });
  if (unknown.length > 0) log.warn("settings_unknown", { names: unknown });
  const metrics = createMetrics({ build: buildOf(manifest.version) });
  const counts = createEdgeMetrics(metrics);
  const admin = createEdgeAdmin(config, metrics);
  const { redisUrl, natsUrl } = config;

  let redis: Awaited<ReturnType<typeof connectRedis>> | null = null;
  let nats: Awaited<ReturnType<typeof connectNats>> | null = null;
  let upstream: NatsUpstream | null = null;
  let push: NatsPush | null = null;
  let service: EdgeService | null = null;
  const onRedisFault = (_stage: string, error: unknown) => counts.redisFailed(faultOf(error));
  const onNatsFault = (fault: string) => counts.natsFailed(fault);
  const watch = watchDependencies(log, {
    redis: () => redis?.isUp() ?? false,
    nats: () => nats?.isConnected() ?? false,
  });

  const redisPart = {
    name: "redis",
    settings: ["EDGE_REDIS_URL", "EDGE_START_TIMEOUT_MS"],
    async start() {
      assert(redisUrl !== null); // a rule of the configuration
      redis = await connectRedis({
        url: redisUrl,
        startTimeoutMs: config.startTimeoutMs,
        sentinelUsername: config.redisSentinelUser,
        sentinelPassword: config.redisSentinelPassword,
        caFile: config.redisCaFile,
        onEpochChange() {
          counts.redisEpochs.inc();
          log.warn("redis_epoch_changed", { meaning: "a failover or a restart" });
        },
        onUnguarded(primaries) {
          counts.redisUnguarded.set(primaries);
          const event = primaries > 0 ? "redis_unguarded" : "redis_guarded";
          log.warn(event, { primaries, advice: "min-replicas-to-write 1" });
        },
        onFault: onRedisFault,
      });
    },
    stop: async () => redis?.close(),
  };
  const natsPart = {
    name: "nats",
    settings: ["EDGE_NATS_URL", "EDGE_START_TIMEOUT_MS"],
    async start() {
      assert(natsUrl !== null);
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
      counts.watchRedisClock(redis.clockOffsetMs);
      upstream = createNatsUpstream({
        link: nats,
        routes,
        nodeId: config.nodeId,
        clock: systemClock,
        onFault: onNatsFault,
        onDropped: counts.replyDropped,
      });
      await upstream.start();
      const link = nats;
      counts.watchPayloadLimit(() => link.payloadBytesMax);
      const registry = createRedisRegistry({
        redis,
        settings: config.registry,
        prefix,
        onFault: onRedisFault,
        onRestored: () => counts.repaired("reasserted"),
      });
      const bus = createNatsBus({
        connection: nats,
        prefix: config.natsPrefix,
        onFault: onNatsFault,
        onPush: (message) => push?.hearNode(message),
      });
      service = createEdgeService({
        config,
        registry,
        ledger: createRedisLedger({
          redis,
          settings: config.registry,
          prefix,
          onFault: onRedisFault,
        }),
        bus,
        upstream: combineUpstreams([createEchoUpstream(commandsOf(config.echoCommands)), upstream]),
        topicRules,
        log,
        metrics,
        counts,
        admin,
        turn: createRedisTurn({ redis, prefix }),
        isRedisUp: redis.isUp,
        isNatsUp: nats.isConnected,
        stop: (reason) => running.stop(reason),
      });
      for (const part of service.parts) await part.start();
      push = createNatsPush({
        link: nats,
        pushes: service.edge.pushes,
        registry: service.edge.registry,
        nodeId: config.nodeId,
        prefix: config.natsPrefix,
        onFault: onNatsFault,
        metrics: createOrderMetrics(metrics, () => push?.topicSubscriptions ?? 0),
      });
      await push.start();
      watch.start();
    },
    async stop() {
      watch.stop();
      push?.stop();
      for (const part of service?.parts.toReversed() ?? []) await part.stop();
      upstream?.stop();
    },
  };
  const running = runService({
    log,
    parts: [admin.part, redisPart, natsPart, edgePart],
    drain: async () => service?.drain(),
    deadlineMs: config.drainDeadlineMs,
  });
}

try {
  await main();
} catch (error) {
  if (!(error instanceof SettingsError)) throw error;
  process.stderr.write(`Cannot start: the configuration has mistakes\n${error.message}\n`);
  process.exit(1);
}
