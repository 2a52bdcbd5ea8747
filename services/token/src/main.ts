/**
 * The token service as a process: reads configuration and directory, connects to Redis and NATS,
 * runs. SIGHUP reads the directory again; with --check-config both are read and nothing is run.
 */
import assert from "node:assert/strict";
import { hostname } from "node:os";
import { connectNats, createNatsBus } from "@holdfast/cluster/nats";
import {
  buildOf,
  createLog,
  createMetrics,
  type Log,
  type Part,
  printable,
  runService,
  SettingsError,
  systemClock,
} from "@holdfast/runtime";
import { connectRedis, createRedisRegistry } from "@holdfast/session/redis";
import manifest from "../package.json";
import { type TokenConfig, tokenSettings } from "./config.ts";
import type { Directory } from "./directory.ts";
import type { DirectoryFile } from "./directory-file.ts";
import type { BearerVerifier } from "./otp.ts";
import { readTokenStartup, tokenSummary } from "./startup.ts";
import { createTokenService, type TokenService } from "./token.ts";

async function main(): Promise<void> {
  const startup = await readTokenStartup(process.env, systemClock);
  const { values: config, unknown, file, verifyBearer } = startup;
  const settings = printable(tokenSettings, config);
  if (process.argv.includes("--check-config")) {
    process.stdout.write(tokenSummary(startup));
    return;
  }
  const node = config.TOKEN_NODE_NAME ?? hostname();
  const log = createLog({ service: "token", node, level: config.TOKEN_LOG_LEVEL });
  log.info("configured", { settings });
  if (unknown.length > 0) log.warn("settings_unknown", { names: unknown });
  reloadOn("SIGHUP", file, log);
  runService({
    log,
    parts: createParts({ config, directory: file.directory, verifyBearer, log, node }),
    deadlineMs: config.TOKEN_STOP_TIMEOUT_MS,
  });
}

/** On SIGHUP. A mistake is told, and the directory of before stays. */
function reloadOn(signal: "SIGHUP", file: DirectoryFile, log: Log): void {
  process.on(signal, () => {
    try {
      file.reload();
      log.info("directory_reloaded");
    } catch (error) {
      log.error("directory_refused", { reason: error instanceof Error ? error.message : error });
    }
  });
}

function createParts(options: {
  readonly config: TokenConfig;
  readonly directory: Directory;
  readonly verifyBearer: BearerVerifier | null;
  readonly log: Log;
  readonly node: string;
}): readonly Part[] {
  const { verifyBearer, ...others } = options;
  const { config, log, node } = others;
  const startTimeoutMs = config.TOKEN_START_TIMEOUT_MS;
  let redis: Awaited<ReturnType<typeof connectRedis>> | null = null;
  let nats: Awaited<ReturnType<typeof connectNats>> | null = null;
  let service: TokenService | null = null;
  const onNatsFault = (stage: string, error: unknown) => log.warn("nats_failed", { stage, error });

  const redisPart: Part = {
    name: "redis",
    settings: ["TOKEN_REDIS_URL", "TOKEN_START_TIMEOUT_MS"],
    async start() {
      assert(config.TOKEN_REDIS_URL !== null); // a rule of the configuration
      redis = await connectRedis({
        url: config.TOKEN_REDIS_URL,
        startTimeoutMs,
        sentinelUsername: config.TOKEN_REDIS_SENTINEL_USER,
        sentinelPassword: config.TOKEN_REDIS_SENTINEL_PASSWORD,
        caFile: config.TOKEN_REDIS_CA_FILE,
        onFault: (stage, error) => log.warn("redis_failed", { stage, error }),
      });
    },
    stop: async () => redis?.close(),
  };
  const natsPart: Part = {
    name: "nats",
    settings: ["TOKEN_NATS_URL", "TOKEN_START_TIMEOUT_MS"],
    async start() {
      assert(config.TOKEN_NATS_URL !== null); // a rule of the configuration
      const caFile = config.TOKEN_NATS_CA_FILE;
      nats = await connectNats({
        urls: config.TOKEN_NATS_URL,
        name: node,
        startTimeoutMs,
        credentialsFile: config.TOKEN_NATS_CREDENTIALS_FILE ?? undefined,
        tls: caFile === null ? undefined : { caFile },
        onFault: onNatsFault,
        onStatus: ({ type }) => log.info("nats_status", { type }),
      });
    },
    stop: async () => nats?.close(),
  };
  const tokenPart: Part = {
    name: "token",
    async start() {
      assert(redis !== null && nats !== null); // parts start in order
      service = createTokenService({
        ...others,
        registry: createRedisRegistry({ redis, prefix: config.TOKEN_REDIS_PREFIX }),
        bus: createNatsBus({
          connection: nats,
          prefix: config.TOKEN_NATS_PREFIX,
          onFault: onNatsFault,
        }),
        metrics: createMetrics({ build: buildOf(manifest.version) }),
        clock: systemClock,
        isStoreUp: redis.isUp,
        ...(verifyBearer === null ? {} : { verifyBearer }),
      });
      await service.start();
    },
    stop: async () => service?.stop(),
  };
  return [redisPart, natsPart, tokenPart];
}

try {
  await main();
} catch (error) {
  if (!(error instanceof SettingsError)) throw error;
  process.stderr.write(`Cannot start: the configuration has mistakes\n${error.message}\n`);
  process.exit(1);
}
