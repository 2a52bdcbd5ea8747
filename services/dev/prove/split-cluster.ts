/**
 * A Cluster of three primaries with a replica each, on a network that can be split between one
 * primary and all others. Nodes reach each other by links that they announce, each of them from an
 * address of its own, so that a link can be silent for one of them alone.
 */
import { type Server, startRedisCluster } from "@holdfast/servers";
import { tagOf } from "@holdfast/session";
import { until } from "./ground.ts";
import { type Link, openLink } from "./link.ts";
import { askRedis, primariesOf } from "./redis-line.ts";
import { hideBehind, type OldPrimary, type SplitStore, startTogether } from "./split-store.ts";

const host = "127.0.0.1";
const size = 6;

interface Ways {
  /** Where the node itself listens. */
  readonly listens: number;
  readonly port: number;
  /** How all others reach it, and what it says of itself. */
  readonly link: Link;
  readonly bus: Link;
  /** How the lonely edge reaches it. */
  readonly lonely: Link;
  /** Where its own connections come from. */
  readonly source: string;
}

interface Node extends Ways {
  readonly server: Server;
}

export function startSplitCluster(): Promise<SplitStore> {
  return startTogether(async (keep, stop) => {
    const ways: Ways[] = [];
    const cluster = keep(
      await startRedisCluster(undefined, async ({ port, busPort }, index) => {
        const link = keep(await openLink({ host, port }));
        const bus = keep(await openLink({ host, port: busPort }));
        const lonely = keep(await openLink({ host, port }));
        const source = `127.0.0.${11 + index}`;
        ways.push({ listens: port, port: link.port, link, bus, lonely, source });
        return { port: link.port, busPort: bus.port, source };
      }),
    );
    hideBehind(host, ways);
    const nodes = cluster.nodes.map((server) => {
      // Each has been asked for.
      return { ...ways.find(({ listens }) => listens === server.port)!, server };
    });
    return toSplit(nodes, cluster.url, stop);
  });
}

function toSplit(nodes: readonly Node[], url: string, stop: () => Promise<void>): SplitStore {
  const servers = nodes.map(({ server }) => server);
  return {
    store: { url, nodes: servers, sentinels: [], stop },
    lonelyUrl: `redis-cluster://${nodes.map(({ lonely }) => `${host}:${lonely.port}`).join(",")}`,
    whole: () => until("the Cluster to be whole", () => isWhole(servers), 60_000),
    async oldPrimary(shard) {
      const primaries = await Promise.all((await primariesOf(servers)).map(withSlots));
      const old = primaries.toSorted((a, b) => a.firstSlot - b.firstSlot)[shard];
      if (old === undefined) throw new Error(`Cannot split the Cluster: it has no shard ${shard}`);
      return toOldPrimary(old);
    },
    split(primary) {
      const old = nodes.find(({ server }) => server === primary)!; // it is one of them
      for (const node of nodes) {
        if (node === old) {
          for (const link of [node.link, node.bus]) link.silence();
        } else {
          for (const link of [node.link, node.bus]) link.silence(old.source);
          node.lonely.silence();
        }
      }
    },
    heal() {
      for (const { link, bus, lonely } of nodes) for (const one of [link, bus, lonely]) one.heal();
    },
  };
}

interface Primary {
  readonly server: Server;
  readonly firstSlot: number;
  /** From and to. */
  readonly slots: readonly (readonly [number, number])[];
}

async function toOldPrimary({ server, slots }: Primary): Promise<OldPrimary> {
  const has = async (tag: string) => {
    const slot = Number((await askRedis(server, `CLUSTER KEYSLOT ${tag}`)).slice(1));
    return slots.some(([from, to]) => from <= slot && slot <= to);
  };
  const accountOf = async (name: string, isElsewhere: boolean) => {
    for (let tries = 1; ; tries++) {
      const account = `${name}/${tries}`;
      if ((await has(tagOf(account))) !== isElsewhere) return account;
    }
  };
  const tag = tagOf(await accountOf("split", false));
  return {
    ...{ server, accountOf },
    async isRefusingWrites() {
      const answer = await askRedis(server, `SET prove:{${tag}} 1 PX 1000`).catch(String);
      return answer.includes("CLUSTERDOWN");
    },
  };
}

/** Its own line of what it knows of all nodes ends with its slots. */
async function withSlots(server: Server): Promise<Primary> {
  const [own = ""] = /^.*\bmyself\b.*$/m.exec(await askRedis(server, "CLUSTER NODES")) ?? [];
  const ranges = own.trim().split(" ").slice(8);
  const slots = ranges.map((range) => {
    const [from = Number.NaN, to = from] = range.split("-").map(Number);
    return [from, to] as const;
  });
  return { server, slots, firstSlot: Math.min(...slots.flat()) };
}

async function isWhole(servers: readonly Server[]): Promise<boolean> {
  const ask = (line: string) =>
    Promise.all(servers.map((server) => askRedis(server, line).catch(() => "")));
  const [states, nodes, links] = [
    await ask("CLUSTER INFO"),
    await ask("CLUSTER NODES"),
    await ask("INFO replication"),
  ];
  const knowsAll = (text: string) =>
    text.match(/ connected( |$|\r)/gm)?.length === size && !/\bfail\??\b/.test(text);
  const isLinked = (text: string) =>
    text.includes("role:master")
      ? /slave0:[^\n]*state=online/.test(text)
      : text.includes("master_link_status:up");
  return (
    states.every((text) => text.includes("cluster_state:ok")) &&
    nodes.every(knowsAll) &&
    links.every(isLinked) &&
    links.filter((text) => text.includes("role:master")).length === size / 2
  );
}
