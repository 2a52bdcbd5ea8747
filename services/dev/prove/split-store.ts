/**
 * What a round of a split needs of Redis, whatever its topology: a primary that is cut off together
 * with one edge. That edge knows each server by a link of its own, as behind a NAT, so that the two
 * sides are cut apart and nobody else is.
 */
import type { Server } from "@holdfast/servers";
import type { Store } from "./lab.ts";
import type { Filter, Link } from "./link.ts";

export interface SplitStore {
  readonly store: Store;
  /** Of the edge that stays with the old primary; all others have the store's own. */
  readonly lonelyUrl: string;
  /** Every primary writes and has its replicas, and all know of all. */
  whole(): Promise<void>;
  /** Whom a round cuts off. Of a Cluster: the primary of that shard, in the order of its slots. */
  oldPrimary(shard: number): Promise<OldPrimary>;
  /** From now on the primary and the lonely edge hear of nobody else. */
  split(primary: Server): void;
  /** The network is whole again. */
  heal(): void;
}

export interface OldPrimary {
  readonly server: Server;
  /** A name that begins so, of an account that it has; or of one that another primary has. */
  accountOf(name: string, isElsewhere: boolean): Promise<string>;
  isRefusingWrites(): Promise<boolean>;
}

/** How to reach one server. */
export interface Ways {
  /** For all others, and what it says of itself. */
  readonly port: number;
  /** For the lonely edge. */
  readonly lonely: Link;
}

/**
 * Whatever address the lonely edge is told of has the port of its own link instead. After the host
 * a port is in the same text (MOVED, Sentinel's events), the next text or number (CLUSTER SLOTS,
 * Sentinel's primary), or the one after its name (Sentinel's lists).
 */
export function hideBehind(host: string, ways: readonly Ways[]): void {
  const known = ways.map(({ port, lonely }) => [String(port), String(lonely.port)] as const);
  if (known.some(([from, to]) => from.length !== to.length)) {
    throw new Error("Cannot translate ports: they do not have as many digits");
  }
  const words = new Map(known);
  const ports = known.map(([from]) => from).join("|");
  const between = "(?:[: ]|\\r\\n(?:\\$4\\r\\nport\\r\\n)?(?:\\$\\d+\\r\\n|:))";
  const pattern = new RegExp(`(${host.replaceAll(".", "\\.")}${between})(${ports})\\b`, "g");
  // Answers that tell of addresses are short: none is cut in the middle of one.
  const translate: Filter = (bytes) =>
    Buffer.from(
      Buffer.from(bytes)
        .toString("latin1")
        .replace(pattern, (_, before, port) => `${before}${words.get(port) ?? port}`),
      "latin1",
    );
  for (const { lonely } of ways) {
    lonely.filter((direction) => (direction === "up" ? (bytes) => bytes : translate));
  }
}

/** Ends what was started, when it is asked to or when the start of more fails. */
export async function startTogether<T>(
  start: (keep: Keep, stop: () => Promise<void>) => Promise<T>,
): Promise<T> {
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    await Promise.all(stops.splice(0).map((end) => end()));
  };
  const keep: Keep = (started) => {
    stops.push(() => started.stop());
    return started;
  };
  try {
    return await start(keep, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

export type Keep = <T extends { stop(): Promise<unknown> }>(started: T) => T;
