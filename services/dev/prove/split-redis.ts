/**
 * A primary, two replicas and three Sentinels on a network that can be split between a primary and
 * all others. One edge is on the side of whoever is primary then.
 */
import { join } from "node:path";
import { freePort, probeRedis, type Server, startProcess, startRedis } from "@holdfast/servers";
import { until } from "./ground.ts";
import { type Link, openLink } from "./link.ts";
import { askRedis, primariesOf } from "./redis-line.ts";
import {
  hideBehind,
  type Keep,
  type OldPrimary,
  type SplitStore,
  startTogether,
} from "./split-store.ts";

export interface SplitRedis extends SplitStore {
  /** From now on who uses the lonely addresses hears nothing of Redis, and Redis is well. */
  cutLonely(): void;
}

const host = "127.0.0.1";
const name = "split";
const replicas = 2;
const downAfterMs = 2_000; // as startRedisSentinel has it

interface Node {
  readonly server: Server;
  /** How all others reach it, and what it says of itself. */
  readonly link: Link;
  /** How the lonely edge reaches it. */
  readonly lonely: Link;
}

interface Watch {
  readonly server: Server;
  readonly lonely: Link;
}

export function startSplitRedis(): Promise<SplitRedis> {
  return startTogether(async (keep, stop) => {
    const nodes: Node[] = [];
    for (let count = 0; count <= replicas; count++) nodes.push(await startNode(nodes[0], keep));
    const watches: Watch[] = [];
    for (let count = 0; count < 3; count++) watches.push(await startWatch(nodes[0]!, keep));
    hideBehind(host, [
      ...nodes.map(({ link, lonely }) => ({ port: link.port, lonely })),
      ...watches.map(({ server, lonely }) => ({ port: server.port, lonely })),
    ]);
    return toSplit(nodes, watches, stop);
  });
}

async function startNode(primary: Node | undefined, keep: Keep): Promise<Node> {
  const place = { host, port: await freePort() };
  const [link, lonely] = [keep(await openLink(place)), keep(await openLink(place))];
  const args = [
    ...["--replica-announce-ip", host, "--replica-announce-port", String(link.port)],
    ...["--min-replicas-to-write", "1", "--min-replicas-max-lag", "2"],
    ...["--repl-diskless-sync-delay", "0"],
    ...(primary ? ["--replicaof", host, String(primary.link.port)] : []),
  ];
  return { server: keep(await startRedis({ port: place.port, args })), link, lonely };
}

async function startWatch(primary: Node, keep: Keep): Promise<Watch> {
  const server = await startProcess({
    ...{ binary: "redis-server", debianPackage: "redis-server", scheme: "redis" },
    async args({ port, directory }) {
      const path = join(directory, "sentinel.conf");
      const lines = [
        ...[`bind ${host}`, `port ${port}`, `dir ${directory}`],
        `sentinel monitor ${name} ${host} ${primary.link.port} 2`,
        `sentinel down-after-milliseconds ${name} ${downAfterMs}`,
        `sentinel failover-timeout ${name} 6000`,
      ];
      await Bun.write(path, `${lines.join("\n")}\n`);
      return [path, "--sentinel"];
    },
    probe: (place) => probeRedis(place),
  });
  return { server: keep(server), lonely: keep(await openLink(server)) };
}

function toSplit(
  nodes: readonly Node[],
  watches: readonly Watch[],
  stop: () => Promise<void>,
): SplitRedis {
  const servers = nodes.map(({ server }) => server);
  const sentinels = watches.map(({ server }) => server);
  const urlOf = (ports: readonly number[]) =>
    `redis-sentinel://${ports.map((port) => `${host}:${port}`).join(",")}/${name}`;
  const links = () => [...nodes.flatMap(({ link, lonely }) => [link, lonely]), ...lonelyWatches];
  const lonelyWatches = watches.map(({ lonely }) => lonely);
  return {
    store: { url: urlOf(sentinels.map(({ port }) => port)), nodes: servers, sentinels, stop },
    lonelyUrl: urlOf(lonelyWatches.map(({ port }) => port)),
    whole: () => until("Redis to be whole", () => isWhole(servers, sentinels), 60_000),
    async oldPrimary() {
      const [server] = await primariesOf(servers);
      if (server === undefined) throw new Error("Cannot split Redis: it has no primary");
      return toOldPrimary(server);
    },
    split(primary) {
      for (const { server, link, lonely } of nodes) {
        if (server === primary) link.silence();
        else lonely.silence();
      }
      for (const link of lonelyWatches) link.silence();
    },
    cutLonely() {
      for (const link of [...nodes.map(({ lonely }) => lonely), ...lonelyWatches]) link.silence();
    },
    // What stood between the edge and the Sentinels is broken.
    heal() {
      for (const link of lonelyWatches) link.reset();
      for (const link of links()) link.heal();
    },
  };
}

/** It has all accounts. */
function toOldPrimary(server: Server): OldPrimary {
  return {
    server,
    accountOf: (name) => Promise.resolve(name),
    async isRefusingWrites() {
      const answer = await askRedis(server, "SET prove:split 1 PX 1000").catch(String);
      return answer.includes("NOREPLICAS");
    },
  };
}

async function isWhole(servers: readonly Server[], sentinels: readonly Server[]): Promise<boolean> {
  const primaries = await primariesOf(servers);
  if (primaries.length !== 1) return false;
  const [told, ...others] = await Promise.all([
    askRedis(primaries[0]!, "INFO replication"), // there is one
    ...sentinels.map((one) => askRedis(one, "INFO sentinel").catch(() => "")),
  ]);
  const isGood = told?.includes(`min_slaves_good_slaves:${replicas}`) ?? false;
  const knows = new RegExp(`status=ok,[^\\n]*slaves=${replicas},sentinels=${sentinels.length}`);
  return isGood && others.every((text) => knows.test(text));
}
