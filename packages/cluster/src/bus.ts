/**
 * One node speaks to another: at most once, possibly never. What must not be lost is in the
 * registry; the bus only makes it fast.
 */

export interface Address {
  readonly node: string;
  readonly connection: string;
}

export type ClusterEvent =
  /** The connect event: `account` connected at `by`; these connections of yours lost their seat. */
  | {
      readonly type: "connect";
      readonly account: string;
      readonly by: Address;
      /** Pushed out by a newer login. */
      readonly displaced: readonly string[];
      /** Taken over by the reconnect of the same session. */
      readonly takenOver: readonly string[];
      /** When the newer connection was answered, milliseconds since 1970: for the delay metric. */
      readonly atMs: number;
    }
  /** Sessions were ended (logout, revoke); these connections of yours are over. */
  | { readonly type: "ended"; readonly connections: readonly string[]; readonly reason: string }
  /** An operator asks this node to drain; `inTurn` waits for its turn among the nodes. */
  | { readonly type: "drain"; readonly inTurn: boolean };

/** What became of a seat, told to whoever listens on `hf.event.<kind>.<TAG>`. */
export interface Notice {
  readonly kind: "opened" | "resumed" | "closed" | "lapsed";
  readonly tag: string;
  readonly account: string;
  readonly sid: string;
  readonly seat: Address;
  readonly generation: number;
  readonly reason: string; // empty, or the Close code's name for "closed"
  readonly atMs: number;
}

export interface ClusterBus {
  /** To one node, or to all. MUST NOT throw or make the caller wait. False: not sent. */
  publish(node: string | "all", event: ClusterEvent): boolean;
  /** To whoever listens. The same promise: fire and forget. */
  notify(notice: Notice): boolean;
  /** Everything sent to this node or to all. Resolves when the subscription stands. */
  subscribe(node: string, deliver: (event: ClusterEvent) => void): Promise<() => Promise<void>>;
  /** Notices of one kind, or of all; for tests, tools and embedded listeners. */
  listen(
    kind: Notice["kind"] | "*",
    deliver: (notice: Notice) => void,
  ): Promise<() => Promise<void>>;
  /** True while the bus believes that what it publishes leaves this process. */
  isConnected(): boolean;
}

/** Adapters report what went wrong; services log and count it. */
export type BusFault = "publish" | "subscribe" | "decode" | "deliver" | "connection";
