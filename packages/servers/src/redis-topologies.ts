/**
 * Redis as it stands in production: a Cluster of three primaries with a replica each, and a primary
 * with a replica under three Sentinels. Ready means that a failover would work: a replica that has
 * not finished its first sync is never promoted.
 */
import { join } from "node:path";
import { exchange } from "./exchange.ts";
import { freePort } from "./port.ts";
import { type Server, startProcess } from "./process.ts";
import { type Certificate, listenArgs, probeRedis, startRedis } from "./redis.ts";

export interface RedisTopology extends AsyncDisposable {
  /** As connectRedis of packages/session understands it. */
  readonly url: string;
  /** A Cluster has its primaries first, each one's replica three places later. */
  readonly nodes: readonly Server[];
  readonly sentinels: readonly Server[];
  stop(): Promise<void>;
}

/** With these every port speaks TLS, and nobody is let in without a user and a password. */
export interface RedisLocks {
  readonly certificate: Certificate;
  /** As in an ACL file, without the word user: `edge on >secret ~hf:* +@all`. */
  readonly user: string;
  /** Of the Sentinels, which know no user of the data nodes. */
  readonly sentinelUser?: string;
  /** What the nodes of a Cluster call themselves, instead of by their address. */
  readonly hostName?: string;
}

/** Of a node of a Cluster. */
export interface ClusterPorts {
  readonly port: number;
  readonly busPort: number;
}

/** Where others find a node, if not where it listens, and where its own connections come from. */
export interface Announced extends ClusterPorts {
  readonly source: string;
}

/** Asked for each node before it starts; it listens on 127.0.0.1. */
export type Announce = (listens: ClusterPorts, index: number) => Promise<Announced>;

const SLOTS = 16_384;
const PRIMARIES = 3;
const NODE_TIMEOUT_MS = 2_000;
const READY_TIMEOUT_MS = 20_000;
const PRIMARY_NAME = "holdfast";
const ADMIN_PASSWORD = "only the nodes know"; // of the default user, wherever there are locks

/** Ports are free ones; a failover takes some 4 s. */
export async function startRedisCluster(
  locks?: RedisLocks,
  announce?: Announce,
): Promise<RedisTopology> {
  const nodes = await startAll(2 * PRIMARIES, (index) => startClusterNode(index, locks, announce));
  return orStop({ nodes, sentinels: [] }, async () => {
    await formCluster(nodes);
    const hosts = nodes.map(({ server, found }) => {
      return `${locks?.hostName ?? server.host}:${found.port}`;
    });
    return `redis${locks ? "s" : ""}-cluster://${hosts.join(",")}`;
  });
}

/** The primary is the first node; a failover takes some 3 s. */
export async function startRedisSentinel(locks?: RedisLocks): Promise<RedisTopology> {
  const primary = await startNode([], locks);
  const started: { server: Server }[] = [{ server: primary }];
  const sentinels: { server: Server }[] = [];
  return orStop({ nodes: started, sentinels }, async () => {
    const follow = ["--replicaof", primary.host, String(primary.port)];
    const replica = await startNode(follow, locks);
    started.push({ server: replica });
    await linked(replica);
    const watch = async () => ({ server: await startSentinel(primary, locks) });
    sentinels.push(...(await startAll(3, watch)));
    await Promise.all(sentinels.map(({ server }) => informed(server)));
    const hosts = sentinels.map(({ server }) => `${server.host}:${server.port}`);
    return `redis${locks ? "s" : ""}-sentinel://${hosts.join(",")}/${PRIMARY_NAME}`;
  });
}

interface ClusterNode {
  readonly server: Server;
  /** Where the others find it. */
  readonly found: ClusterPorts;
}

async function startClusterNode(
  index: number,
  locks?: RedisLocks,
  announce?: Announce,
): Promise<ClusterNode> {
  const host = "127.0.0.1";
  const busPort = await freePort(host); // port + 10000, the default, may not exist
  const port = announce && (await freePort(host));
  const announced = port === undefined ? undefined : await announce?.({ port, busPort }, index);
  const name = locks?.hostName;
  const args = [
    ...["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"],
    ...["--cluster-node-timeout", String(NODE_TIMEOUT_MS), "--cluster-port", String(busPort)],
    ...(announced ? announceArgs(host, announced) : []),
    ...(locks ? ["--tls-cluster", "yes"] : []),
    ...(name ? ["--cluster-announce-hostname", name] : []),
    ...(name ? ["--cluster-preferred-endpoint-type", "hostname"] : []),
  ];
  const server = await startNode(args, locks, port);
  return { server, found: announced ?? { port: server.port, busPort } };
}

function announceArgs(host: string, { port, busPort, source }: Announced): readonly string[] {
  return [
    ...["--cluster-announce-ip", host, "--cluster-announce-port", String(port)],
    ...["--cluster-announce-bus-port", String(busPort), "--bind-source-addr", source],
  ];
}

function startNode(args: readonly string[], locks?: RedisLocks, port?: number): Promise<Server> {
  const common = ["--repl-diskless-sync-delay", "0", ...args];
  const place = port === undefined ? {} : { port };
  if (!locks) return startRedis({ ...place, args: common });
  return startRedis({
    ...place,
    certificate: locks.certificate,
    args: [
      ...common,
      ...["--requirepass", ADMIN_PASSWORD, "--masterauth", ADMIN_PASSWORD],
      ...["--user", ...locks.user.split(" ")],
    ],
  });
}

async function formCluster(clusterNodes: readonly ClusterNode[]): Promise<void> {
  const nodes = clusterNodes.map(({ server }) => server);
  const [first] = nodes;
  if (!first) throw new Error("Cannot form a cluster of no nodes");
  for (const [index, node] of nodes.entries()) {
    await ask(node, `CLUSTER SET-CONFIG-EPOCH ${index + 1}`);
    if (index >= PRIMARIES) continue;
    const from = Math.ceil((index * SLOTS) / PRIMARIES);
    const to = Math.ceil(((index + 1) * SLOTS) / PRIMARIES) - 1;
    await ask(node, `CLUSTER ADDSLOTSRANGE ${from} ${to}`);
  }
  for (const { server, found } of clusterNodes.slice(1)) {
    await ask(first, `CLUSTER MEET ${server.host} ${found.port} ${found.busPort}`);
  }
  const known = `cluster_known_nodes:${nodes.length}`;
  await Promise.all(
    nodes.map((node) => until(node, "CLUSTER INFO", (text) => text.includes(known))),
  );
  const replicas = nodes.slice(PRIMARIES);
  for (const [index, node] of replicas.entries()) {
    const id = (await ask(nodes[index]!, "CLUSTER MYID")).split("\r\n")[1]; // as many primaries
    await until(node, `CLUSTER REPLICATE ${id}`, (text) => text.startsWith("+OK"));
  }
  await Promise.all(replicas.map(linked));
  const isWhole = (text: string) => text.includes("cluster_state:ok");
  await Promise.all(nodes.map((node) => until(node, "CLUSTER INFO", isWhole)));
  // Each knows of every replica, or it could not vote for one.
  const isTold = (text: string) => text.match(/\bslave\b/g)?.length === replicas.length;
  await Promise.all(nodes.map((node) => until(node, "CLUSTER NODES", isTold)));
}

function startSentinel(primary: Server, locks?: RedisLocks): Promise<Server> {
  const isTls = locks !== undefined;
  return startProcess({
    ...{ binary: "redis-server", debianPackage: "redis-server" },
    scheme: isTls ? "rediss" : "redis",
    async args(own) {
      const { host, port, directory } = own;
      const path = join(directory, "sentinel.conf");
      const watch = `sentinel monitor ${PRIMARY_NAME} ${primary.host} ${primary.port} 2`;
      const down = `sentinel down-after-milliseconds ${PRIMARY_NAME} ${NODE_TIMEOUT_MS}`;
      const failover = `sentinel failover-timeout ${PRIMARY_NAME} 6000`;
      const place = [`bind ${host}`, `port ${port}`, `dir ${directory}`];
      const lines = [...place, watch, down, failover, ...sentinelLocks(locks)];
      await Bun.write(path, `${lines.join("\n")}\n`);
      return [path, "--sentinel", ...listenArgs(own, locks?.certificate)];
    },
    probe: (place) => probeRedis(place, isTls),
  });
}

function sentinelLocks(locks?: RedisLocks): readonly string[] {
  if (!locks) return [];
  return [
    `sentinel auth-pass ${PRIMARY_NAME} "${ADMIN_PASSWORD}"`,
    ...[`requirepass "${ADMIN_PASSWORD}"`, `sentinel sentinel-pass "${ADMIN_PASSWORD}"`],
    ...(locks.sentinelUser ? [`user ${locks.sentinelUser}`] : []),
  ];
}

/** It knows the replica, and both other Sentinels. */
async function informed(sentinel: Server): Promise<void> {
  const isInformed = (text: string) => /slaves=1,sentinels=3/.test(text);
  await until(sentinel, "INFO sentinel", isInformed);
}

async function linked(replica: Server): Promise<void> {
  await until(replica, "INFO replication", (text) => text.includes("master_link_status:up"));
}

async function ask(server: Server, command: string): Promise<string> {
  const { host, port, url } = server;
  const isTls = url.startsWith("rediss:");
  const login = isTls ? `AUTH "${ADMIN_PASSWORD}"\r\n` : "";
  const welcome = isTls ? "+OK\r\n" : "";
  const rest = (text: string) => (text.startsWith(welcome) ? text.slice(welcome.length) : text);
  const answer = rest(
    await exchange({
      ...{ host, port, isTls, send: `${login}${command}\r\n` },
      isComplete: (text) => isWholeReply(rest(text)),
    }),
  );
  if (answer.startsWith("-")) throw new Error(`Redis answered ${command}: ${answer.trim()}`);
  return answer;
}

async function until(
  server: Server,
  command: string,
  isGood: (text: string) => boolean,
): Promise<void> {
  const deadlineMs = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    const answer = await ask(server, command).catch((error: unknown) => String(error));
    if (isGood(answer)) return;
    if (performance.now() > deadlineMs) {
      throw new Error(`Redis on port ${server.port} is not ready, ${command}: ${answer.trim()}`);
    }
    await Bun.sleep(50);
  }
}

/** A line, or a bulk of the length it announces. */
function isWholeReply(text: string): boolean {
  const lineEnd = text.indexOf("\r\n");
  if (lineEnd < 0 || text[0] !== "$") return lineEnd >= 0;
  return Buffer.byteLength(text) >= lineEnd + 2 + Number(text.slice(1, lineEnd)) + 2;
}

/** Starts as many at once; when one fails, none stays behind. */
async function startAll<T extends { readonly server: Server }>(
  count: number,
  start: (index: number) => Promise<T>,
): Promise<T[]> {
  const results = await Promise.allSettled(
    Array.from({ length: count }, (_, index) => start(index)),
  );
  const started = results.flatMap((result) => (result.status === "fulfilled" ? result.value : []));
  const failed = results.find((result) => result.status === "rejected");
  if (!failed) return started;
  await Promise.all(started.map(({ server }) => server.stop()));
  throw failed.reason;
}

async function orStop(
  started: {
    readonly nodes: readonly { readonly server: Server }[];
    readonly sentinels: readonly { readonly server: Server }[];
  },
  prepare: () => Promise<string>,
): Promise<RedisTopology> {
  const servers = (list: readonly { readonly server: Server }[]) => list.map((one) => one.server);
  async function stop(): Promise<void> {
    const all = [...servers(started.sentinels), ...servers(started.nodes)];
    await Promise.all(all.map((server) => server.stop()));
  }
  try {
    const url = await prepare();
    const { nodes, sentinels } = started;
    return {
      ...{ url, nodes: servers(nodes), sentinels: servers(sentinels), stop },
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
