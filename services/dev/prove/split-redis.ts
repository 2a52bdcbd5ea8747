/**
 * A primary, two replicas and three Sentinels on a network that can be split between a primary and
 * all others. One edge is on the side of whoever is primary then; it knows each server by an
 * address of its own, as behind a NAT, so that the two sides are cut apart and nobody else is.
 */
import { join } from "node:path";
import { freePort, probeRedis, type Server, startProcess, startRedis } from "@holdfast/servers";
import { until } from "./ground.ts";
import type { Store } from "./lab.ts";
import { type Filter, type Link, openLink } from "./link.ts";
import { askRedis, primariesOf } from "./redis-line.ts";

export interface SplitRedis {
  readonly store: Store;
  /** Of the edge that stays with the old primary; all others have the store's own. */
  readonly lonelyUrl: string;
  /** Every replica has a link to its primary, which writes, and the Sentinels know of all. */
  whole(): Promise<void>;
  /** From now on the primary and its edge hear of nobody else. */
  split(primary: Server): void;
  /** From now on who uses the lonely addresses hears nothing of Redis, and Redis is well. */
  cutLonely(): void;
  /** The network is whole again, and what stood between the edge and the Sentinels is broken. */
  heal(): void;
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

export async function startSplitRedis(): Promise<SplitRedis> {
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    await Promise.all(stops.splice(0).map((end) => end()));
  };
  const keep = <T extends { stop(): Promise<unknown> }>(started: T): T => {
    stops.push(() => started.stop());
    return started;
  };
  try {
    const nodes: Node[] = [];
    for (let count = 0; count <= replicas; count++) nodes.push(await startNode(nodes[0], keep));
    const watches: Watch[] = [];
    for (let count = 0; count < 3; count++) watches.push(await startWatch(nodes[0]!, keep));
    hideBehind([...nodes, ...watches], nodes, watches);
    return toSplit(nodes, watches, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

type Keep = <T extends { stop(): Promise<unknown> }>(started: T) => T;

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

/** What Sentinels tell the lonely edge of addresses has the ports of its own links instead. */
function hideBehind(
  links: readonly (Node | Watch)[],
  nodes: readonly Node[],
  watches: readonly Watch[],
): void {
  const ports = new Map([
    ...nodes.map(({ link, lonely }) => [link.port, lonely.port] as const),
    ...watches.map(({ server, lonely }) => [server.port, lonely.port] as const),
  ]);
  const known = [...ports].map(([from, to]) => [String(from), String(to)] as const);
  if (known.some(([from, to]) => from.length !== to.length)) {
    throw new Error("Cannot translate ports: they do not have as many digits");
  }
  const pattern = new RegExp(`\\b(${known.map(([from]) => from).join("|")})\\b`, "g");
  const words = new Map(known);
  // A Sentinel's answers are short: none is cut in the middle of a port.
  const translate: Filter = (bytes) =>
    Buffer.from(
      Buffer.from(bytes)
        .toString("latin1")
        .replace(pattern, (port) => words.get(port) ?? port),
      "latin1",
    );
  for (const { lonely } of links) {
    lonely.filter((direction) => (direction === "up" ? (bytes) => bytes : translate));
  }
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
    heal() {
      for (const link of lonelyWatches) link.reset();
      for (const link of links()) link.heal();
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
