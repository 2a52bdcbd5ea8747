/**
 * The cluster as it runs in production, on one machine: a redis-server and a nats-server on free
 * ports, and every edge and the token service as a process of its own.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, type Server, startNats, startRedis } from "@holdfast/servers";
import { type Child, launch, untilReady } from "./child.ts";
import {
  type ClusterOptions,
  credentials,
  type DevCluster,
  directoryJson,
  edgeEnvironment,
  tokenEnvironment,
} from "./cluster.ts";
import { type EdgeProcess, launchEdge } from "./edge-process.ts";

const servicesFolder = join(import.meta.dir, "../..");

export interface ProcessOptions extends ClusterOptions {
  /** What becomes of the children's logs. Default: they go to standard error. */
  readonly log?: "inherit" | "ignore";
  /** Follow the arguments of the nats-server. */
  readonly natsArgs?: readonly string[];
}

export interface ProcessCluster extends DevCluster {
  readonly edges: readonly EdgeProcess[];
  readonly redis: Server;
  readonly nats: Server;
}

interface Context {
  readonly options: ProcessOptions;
  readonly redis: Server;
  readonly nats: Server;
  readonly fail: (reason: string) => void;
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
    const context = { options, redis, nats, fail };
    const names = Array.from({ length: options.edges }, (_, index) => `edge-${index + 1}`);
    const edges = await Promise.all(
      names.map((name) =>
        launchEdge({
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
    await Promise.all(edges.map((edge) => edge.ready()));
    const token = await startToken(folder, context);
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

async function startToken(
  folder: string,
  { options, redis, nats, fail }: Context,
): Promise<{ readonly url: string; readonly child: Child }> {
  const [http, admin] = [await freePort(), await freePort()];
  const directory = join(folder, "directory.json");
  await Bun.write(directory, directoryJson());
  const child = launch({
    script: join(servicesFolder, "token/src/main.ts"),
    log: options.log ?? "inherit",
    settings: {
      ...tokenEnvironment(),
      TOKEN_PORT: String(http),
      TOKEN_ADMIN_PORT: String(admin),
      TOKEN_DIRECTORY_FILE: directory,
      TOKEN_REDIS_URL: redis.url,
      TOKEN_NATS_URL: nats.url,
    },
  });
  void child.exited.then((code) => {
    if (code !== 0) fail(`the token service ended with code ${code}`);
  });
  await untilReady("the token service", `http://127.0.0.1:${admin}`, child);
  return { url: `http://127.0.0.1:${http}`, child };
}
