/**
 * The cluster as it runs in production, on one machine: a redis-server and a nats-server on free
 * ports, and every edge and the token service as a process of its own.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Server, startNats, startRedis } from "@holdfast/servers";
import type { ChildLog } from "./child.ts";
import { type ClusterOptions, credentials, type DevCluster, edgeEnvironment } from "./cluster.ts";
import { type EdgeProcess, startEdgeProcess } from "./edge-process.ts";
import { launchToken } from "./token-process.ts";

export interface ProcessOptions extends ClusterOptions {
  /** What becomes of the children's logs. Default: they go to standard error. */
  readonly log?: ChildLog;
  /** Follow the arguments of the nats-server. */
  readonly natsArgs?: readonly string[];
}

export interface ProcessCluster extends DevCluster {
  readonly edges: readonly EdgeProcess[];
  readonly redis: Server;
  readonly nats: Server;
}

export async function startProcesses(options: ProcessOptions): Promise<ProcessCluster> {
  const { promise: failed, resolve } = Promise.withResolvers<string>();
  let isStopping = false;
  const fail = (reason: string) => void (isStopping || resolve(reason));
  const folder = await mkdtemp(join(tmpdir(), "holdfast-dev-"));
  const stops: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    isStopping = true;
    for (const end of stops.splice(0).toReversed()) await end();
  };
  try {
    const redis = await startRedis();
    stops.push(redis.stop);
    const nats = await startNats({ args: options.natsArgs ?? [] });
    stops.push(nats.stop);
    const names = Array.from({ length: options.edges }, (_, index) => `edge-${index + 1}`);
    const edges = await Promise.all(
      names.map((name) =>
        startEdgeProcess({
          name,
          log: options.log ?? "inherit",
          settings: {
            ...edgeEnvironment(name, options),
            EDGE_REDIS_URL: redis.url,
            EDGE_NATS_URL: nats.url,
          },
          onEnd: fail,
        }),
      ),
    );
    stops.push(() => Promise.all(edges.map((edge) => edge.child.stop(true))));
    const token = await launchToken({
      ...{ folder, redisUrl: redis.url, natsUrl: nats.url },
      log: options.log ?? "inherit",
      onEnd: fail,
    });
    stops.push(() => token.child.stop(true));
    return {
      get description() {
        return {
          token: { url: token.url, ...credentials },
          edges: edges.map((edge) => edge.description),
          redis: redis.url,
          nats: nats.url,
        };
      },
      edges,
      redis,
      nats,
      failed,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
