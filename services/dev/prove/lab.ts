/**
 * The ground a scenario stands on: Redis, NATS and edges as real processes, each edge's links to
 * both through proxies of ours where asked for, clients that are recorded, and a registry of the
 * kit's own to look at it all from outside.
 */
import {
  type Server,
  startNats,
  startRedis,
  startRedisCluster,
  startRedisSentinel,
} from "@holdfast/servers";
import { connectRedis, createRedisRegistry } from "@holdfast/session/redis";
import { edgeEnvironment } from "../src/cluster.ts";
import { type EdgeProcess, startEdgeProcess } from "../src/edge-process.ts";
import { type Backend, startBackend } from "./backend.ts";
import { createDiary, type Diary } from "./diary.ts";
import { type Ground, metric } from "./ground.ts";
import { type Link, openLink } from "./link.ts";
import { startNatsTrio } from "./nats-trio.ts";
import { createRecorder, type Recorder } from "./recorder.ts";
import { createVisitors, type Visitors } from "./visit.ts";

type Settings = Readonly<Record<string, string>>;

export interface LabOptions {
  readonly edges?: number; // default 3
  /** Default: one server, which forgets. A store of the scenario's own ends with the lab. */
  readonly redis?: "single" | "sentinel" | "cluster" | Store;
  /** Of a single server: `["--appendonly", "yes"]`. */
  readonly redisArgs?: readonly string[];
  /** Of a single server: `["--http_port", "8222"]`. */
  readonly natsArgs?: readonly string[];
  /** Of a single server: the text of its configuration. */
  readonly natsConfig?: string;
  /** Three have routes; each edge knows its own of them only. Default 1. */
  readonly nats?: 1 | 3;
  /** Each edge reaches its NATS, and its Redis where it is a single one, by links of its own. */
  readonly isLinked?: boolean;
  /** With a backend that fences, whom all clients ask from the beginning to the end. */
  readonly isFenced?: boolean;
  /** Of every edge, on top of the product's defaults. */
  readonly settings?: Settings;
  /** On top, of one edge; the servers run already. */
  readonly settingsOf?: (index: number, servers: Servers) => Settings;
}

export interface Store {
  readonly url: string;
  readonly nodes: readonly Server[];
  readonly sentinels: readonly Server[];
  stop(): Promise<void>;
}

export interface Servers {
  /** As an edge is told. */
  readonly redisUrl: string;
  /** A Cluster has its primaries first, each one's replica three places later. */
  readonly redis: readonly Server[];
  readonly sentinels: readonly Server[];
  readonly nats: readonly Server[];
  /** The first NATS server's routes; empty where there is one server only. */
  readonly natsRoutes: readonly Link[];
}

export interface LabEdge extends EdgeProcess {
  /** Null unless the lab is linked, and there is a single Redis. */
  readonly redisLink: Link | null;
  /** Null unless the lab is linked. */
  readonly natsLink: Link | null;
  /** TCP and WebSocket. */
  readonly urls: readonly [string, string];
}

export interface Lab extends Ground, Visitors {
  readonly servers: Servers;
  readonly edges: readonly LabEdge[];
  readonly recorder: Recorder;
  /** What is done to edges, servers and links is in it; what else is done is to be noted. */
  readonly diary: Diary;
  /** Null unless the lab is fenced. */
  readonly backend: Backend | null;
  metric(name: string, label?: string): Promise<number>;
  /**
   * From now until the returned function is called, whoever is displaced may outlive the newer
   * connection by so much; at all other times by a second.
   */
  allowOverlap(ms: number): () => void;
  /** Somebody who leaves with all others, when the end of the scenario is checked. */
  leavesToo(leave: () => unknown): void;
  /** Something that ends with the lab, after all of its processes. */
  endsToo(end: () => Promise<unknown>): void;
  /** How long an overlap may be that began then. */
  overlapMsAt(atMs: number): number;
  stop(): Promise<void>;
}

const linkFaults = ["cut", "silence", "swallow", "heal", "reset", "finish"] as const;
const dayMs = 24 * 60 * 60 * 1000;
const overlapMs = 1000;

/** `planted`: settings that carry a planted bug into every edge. */
export async function openLab(options: LabOptions, planted: Settings): Promise<Lab> {
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const end of stops.splice(0).toReversed()) await end();
  };
  const diary = createDiary();
  try {
    const servers = noted(await startServers(options, stops), options, diary);
    const edges = await Promise.all(
      Array.from({ length: options.edges ?? 3 }, (_, index) => {
        return startEdge(index, { options, servers, planted, stops, diary });
      }),
    );
    const redis = await connectRedis({ url: servers.redisUrl });
    stops.push(() => redis.close());
    const endsToo = (end: () => Promise<unknown>) => void stops.unshift(end); // ends last
    const registry = createRedisRegistry({ redis });
    const lab = toLab({ servers, edges, registry, diary, stop, endsToo });
    if (options.isFenced !== true) return lab;
    const asking = { views: lab.recorder.views, askers: () => lab.open };
    const backend = await startBackend({ nats: servers.nats, ...asking });
    stops.push(backend.stop);
    return Object.assign(lab, { backend });
  } catch (error) {
    await stop();
    throw error;
  }
}

type Parts = Pick<Lab, "servers" | "edges" | "registry" | "diary" | "stop" | "endsToo">;

function toLab(parts: Parts): Lab {
  const { edges, registry } = parts;
  const recorder = createRecorder();
  const allowed: { readonly fromMs: number; untilMs: number; readonly ms: number }[] = [];
  const issue = async (account: string, limit = 1) => {
    const identity = { account, seatsMax: limit, policy: "displace", metadata: {} } as const;
    return (await registry.issue(identity, dayMs)).token;
  };
  const visitors = createVisitors({ recorder, issue });
  const leavers: (() => unknown)[] = [];
  return {
    ...parts,
    recorder,
    backend: null,
    issue,
    urls: edges.flatMap((edge) => edge.urls),
    get admins() {
      const living = edges.filter((edge) => !edge.child.hasExited());
      return living.map((edge) => edge.description.admin);
    },
    enter: visitors.enter,
    leave: visitors.leave,
    leaveAll() {
      visitors.leaveAll();
      for (const leave of leavers.splice(0)) leave();
    },
    leavesToo: (leave) => void leavers.push(leave),
    get open() {
      return visitors.open;
    },
    metric(name, label) {
      return metric(this, name, label);
    },
    allowOverlap(ms) {
      const period = { fromMs: performance.now(), untilMs: Number.POSITIVE_INFINITY, ms };
      allowed.push(period);
      return () => {
        period.untilMs = Math.min(period.untilMs, performance.now());
      };
    },
    overlapMsAt(atMs) {
      const at = allowed.filter(({ fromMs, untilMs }) => fromMs <= atMs && atMs <= untilMs);
      return Math.max(overlapMs, ...at.map(({ ms }) => ms));
    },
  };
}

async function startServers(
  { redis = "single", redisArgs = [], nats = 1, natsArgs = [], natsConfig }: LabOptions,
  stops: (() => Promise<unknown>)[],
): Promise<Servers> {
  const store = await startStore(redis, redisArgs);
  stops.push(store.stop);
  const { nodes, sentinels } = store;
  const redisParts = { redisUrl: store.url, redis: nodes, sentinels };
  if (nats === 3) {
    const trio = await startNatsTrio();
    stops.push(trio.stop);
    return { ...redisParts, nats: trio.servers, natsRoutes: trio.routes };
  }
  const config = natsConfig === undefined ? {} : { config: natsConfig };
  const server = await startNats({ args: natsArgs, ...config });
  stops.push(server.stop);
  return { ...redisParts, nats: [server], natsRoutes: [] };
}

/** A store of the scenario's own is left as it is: it is known there by its servers. */
function noted(servers: Servers, { redis }: LabOptions, diary: Diary): Servers {
  const all = (list: readonly Server[], name: string) =>
    list.map((server, index) => {
      return diary.noting(`${name}-${index + 1}`, server, ["signal", "restart"]);
    });
  const isOwn = typeof redis === "object";
  return {
    ...servers,
    redis: isOwn ? servers.redis : all(servers.redis, "redis"),
    sentinels: isOwn ? servers.sentinels : all(servers.sentinels, "sentinel"),
    nats: all(servers.nats, "nats"),
    natsRoutes: servers.natsRoutes.map((link, index) => {
      return diary.noting(`routes of nats-${index + 1}`, link, linkFaults);
    }),
  };
}

async function startStore(
  kind: NonNullable<LabOptions["redis"]>,
  args: readonly string[],
): Promise<Store> {
  if (typeof kind === "object") return kind;
  if (kind === "sentinel") return startRedisSentinel();
  if (kind === "cluster") return startRedisCluster();
  const server = await startRedis({ args });
  return { url: server.url, nodes: [server], sentinels: [], stop: server.stop };
}

async function startEdge(
  index: number,
  context: {
    readonly options: LabOptions;
    readonly servers: Servers;
    readonly planted: Settings;
    readonly stops: (() => Promise<unknown>)[];
    readonly diary: Diary;
  },
): Promise<LabEdge> {
  const { options, servers, planted, stops, diary } = context;
  const name = `edge-${index + 1}`;
  const nats = servers.nats[index % servers.nats.length]!; // there is one at least
  const link = async (to: Server | undefined, what: string): Promise<Link | null> => {
    if (to === undefined || options.isLinked !== true) return null;
    const opened = await openLink(to);
    stops.push(opened.stop);
    return diary.noting(`${name} to ${what}`, opened, linkFaults);
  };
  const redis = servers.redis.length === 1 ? servers.redis[0] : undefined;
  const redisLink = await link(redis, "Redis");
  const natsLink = await link(nats, "NATS");
  const own = options.settingsOf?.(index, servers) ?? {};
  const edge = await startEdgeProcess({
    name,
    log: process.env["PROVE_LOG"] === undefined ? "ignore" : "inherit",
    settings: {
      ...edgeEnvironment(name, { edges: 0, settings: { EDGE_LOG_LEVEL: "error" } }),
      EDGE_REDIS_URL: redisLink === null ? servers.redisUrl : `redis://${at(redisLink)}`,
      EDGE_NATS_URL: natsLink === null ? nats.url : `nats://${at(natsLink)}`,
      ...planted,
      ...options.settings,
      ...own,
      ...preloads(planted, own),
    },
    onEnd: () => {}, // seen by whoever meant it, and by the check that no edge answers
  });
  stops.push(() => {
    edge.child.signal("SIGKILL"); // all has been checked: nobody waits for a drain
    return edge.child.exited;
  });
  const { tcp, ws } = edge.description;
  const { drain, start } = diary.noting(name, edge, ["drain", "start"]);
  return {
    get description() {
      return edge.description;
    },
    get child() {
      return diary.noting(name, edge.child, ["signal"]);
    },
    ...{ drain, start },
    urls: [tcp, ws],
    redisLink,
    natsLink,
  };
}

/** Whoever wants something loaded before an edge gets it. */
function preloads(...all: readonly Settings[]): Settings {
  const options = all.flatMap((settings) => settings["BUN_OPTIONS"] ?? []);
  return options.length === 0 ? {} : { BUN_OPTIONS: options.join(" ") };
}

function at({ host, port }: Link): string {
  return `${host}:${port}`;
}
