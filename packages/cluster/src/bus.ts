/**
 * One node speaks to another: at most once, possibly never. What must not be lost is in the
 * registry; the bus only makes it fast.
 */

export interface Address {
  readonly node: string;
  readonly connection: string;
}

/** A connection of the receiver that lost its seat. */
export interface Loser {
  readonly connection: string;
  /**
   * Of the seat it lost: one that holds a higher by now has come back, and lost nothing. 0: not
   * said, by a node of the release before.
   */
  readonly generation: number;
}

export type ClusterEvent =
  /** The connect event: `account` connected at `by`; these connections of yours lost their seat. */
  | {
      readonly type: "connect";
      readonly account: string;
      readonly by: Address;
      /** Pushed out by a newer login. */
      readonly displaced: readonly Loser[];
      /** Taken over by the reconnect of the same session. */
      readonly takenOver: readonly Loser[];
      /** When the newer connection was answered, milliseconds since 1970: for the delay metric. */
      readonly atMs: number;
      /** `by.node` waits for `acked`. A node of the release before does not ask for it. */
      readonly ack: boolean;
    }
  /** These connections of `node` have no seat any more that your connection `by` took. */
  | {
      readonly type: "acked";
      readonly node: string;
      readonly by: string;
      readonly connections: readonly string[];
    }
  /** Sessions were ended (logout, revoke); these connections of yours are over. */
  | { readonly type: "ended"; readonly losers: readonly Loser[]; readonly reason: string }
  /** An operator asks this node to drain; `inTurn` waits for its turn among the nodes. */
  | { readonly type: "drain"; readonly inTurn: boolean };

/** What nodes ask each other: are you there, and do you reach the store? Answered from memory. */
export type Question = { readonly type: "reach" };

export interface Answer {
  readonly node: string;
  /** How long that node has reached the store without a gap; 0: it does not. */
  readonly reachingMs: number;
}

export interface AskOptions {
  readonly timeoutMs: number;
  /** With so many answers nobody waits any longer. Default: 1 of a node, no bound of all. */
  readonly answersMax?: number;
}

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
  /**
   * Asks one node, or all, the asker too. Resolves with the answers that came in time: none when
   * the bus is silent. Never rejects. A node of the release before does not answer.
   */
  ask(node: string | "all", question: Question, options: AskOptions): Promise<readonly Answer[]>;
  /**
   * Everything sent to this node or to all. Resolves when the subscription stands. `answer` is
   * asked what others ask this node; null, or a throw: no answer.
   */
  subscribe(
    node: string,
    deliver: (event: ClusterEvent) => void,
    answer?: (question: Question) => Omit<Answer, "node"> | null,
  ): Promise<() => Promise<void>>;
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
