/** What the cluster tests share: a cluster of processes, tokens, and clients that log in. */
import { openWire, type Wire } from "@holdfast/client/wire";
import {
  type AuthResponseBody,
  Command,
  decodeAuthResponse,
  encodeAuthRequest,
  encodeReconnectRequest,
  type Response,
  Status,
} from "@holdfast/protocol";
import { exchange, freePort } from "@holdfast/servers";
import { connectRedis, createRedisRegistry } from "@holdfast/session/redis";
import { type Ground, metric, until } from "../prove/ground.ts";
import type { ChildLog } from "../src/child.ts";
import { type ProcessCluster, startProcesses } from "../src/processes.ts";

export interface TestCluster extends ProcessCluster, Ground {
  /** One line to Redis and its answer, past every client library. */
  askRedis(line: string): Promise<string>;
  /** As the nats-server counts them. */
  natsSubscriptions(): Promise<number>;
}

const dayMs = 24 * 60 * 60 * 1000;

export async function startTestCluster(
  settings: Readonly<Record<string, string>> = {},
  log: ChildLog = "ignore",
): Promise<TestCluster> {
  const monitorPort = await freePort();
  const cluster = await startProcesses({
    edges: 3,
    natsArgs: ["--http_port", String(monitorPort)],
    log,
    settings: { EDGE_ALLOW_SHORT_TIMERS: "true", EDGE_LOG_LEVEL: "error", ...settings },
  });
  const redis = await connectRedis({ url: cluster.redis.url });
  const registry = createRedisRegistry({ redis });
  return {
    ...cluster,
    get description() {
      return cluster.description;
    },
    registry,
    urls: cluster.description.edges.flatMap((edge) => [edge.tcp, edge.ws]),
    admins: cluster.description.edges.map((edge) => edge.admin),
    async issue(account, limit = 1) {
      const identity = { account, seatsMax: limit, policy: "displace", metadata: {} } as const;
      return (await registry.issue(identity, dayMs)).token;
    },
    askRedis(line) {
      const { host, port } = cluster.redis;
      const isComplete = (text: string) => text.endsWith("\r\n");
      return exchange({ host, port, send: `${line}\r\n`, isComplete });
    },
    async natsSubscriptions() {
      const answer = await fetch(`http://127.0.0.1:${monitorPort}/varz`);
      return ((await answer.json()) as { subscriptions: number }).subscriptions; // as documented
    },
    async stop() {
      await redis.close();
      await cluster.stop();
    },
  };
}

export interface Attempt {
  readonly wire: Wire;
  readonly response: Response;
  /** Null where it was refused. */
  readonly login: AuthResponseBody | null;
}

export async function present(url: string, token: string, timeoutMs = 15_000): Promise<Attempt> {
  const wire = await openWire({ url, timeoutMs });
  return answered(
    wire,
    await wire.request(Command.auth, encodeAuthRequest({ token, metadata: {} })),
  );
}

export async function resume(url: string, sessionId: string): Promise<Attempt> {
  const wire = await openWire({ url, timeoutMs: 15_000 });
  const body = encodeReconnectRequest({ sessionId, metadata: {} });
  return answered(wire, await wire.request(Command.reconnect, body));
}

function answered(wire: Wire, response: Response): Attempt {
  const login = response.status === Status.success ? decodeAuthResponse(response.body) : null;
  return { wire, response, login };
}

/**
 * Until every edge has checked all its seats so many times more; the first of them may have been
 * under way. What nobody was told by then, no renewal has to tell.
 */
export async function renewed(cluster: Ground, passes = 3): Promise<void> {
  const name = "holdfast_reconcile_last_success_timestamp_seconds";
  for (let pass = 0; pass < passes; pass++) {
    const sinceSeconds = Date.now() / 1000;
    await Promise.all(
      cluster.admins.map((admin) =>
        until("a renewal of all seats", async () => {
          return (await metric({ ...cluster, admins: [admin] }, name)) > sinceSeconds;
        }),
      ),
    );
  }
}

/** The seed of a random test, printed so that `CHAOS_SEED` can replay it. */
export function seedOf(what: string): number {
  const given = Number(process.env["CHAOS_SEED"]);
  const seed = given > 0 ? given : Math.floor(Math.random() * 0x7fffffff) + 1;
  process.stderr.write(`CHAOS_SEED=${seed} (${what})\n`);
  return seed;
}
