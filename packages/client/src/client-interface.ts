/** What an application sees of a client. How it keeps its word is in client.ts. */
import type { Metadata, Push } from "@holdfast/protocol";
import type { Close } from "./link.ts";
import type { ClientState, Session } from "./options.ts";
import type { SubscribeOptions } from "./subscriptions.ts";

export interface Login extends Session {
  /** How many connections the account may have, and has. */
  readonly limit: number;
  readonly online: number;
  /** False: a new session; whatever was subscribed to before has to be asked for again. */
  readonly resumed: boolean;
  readonly url: string;
}

export interface Answer {
  readonly status: number;
  readonly body: Uint8Array;
  readonly metadata: Metadata;
}

export interface Aborting {
  readonly signal?: AbortSignal;
}

export interface RequestOptions extends Aborting {
  readonly timeoutMs?: number;
  /** Version 2 only; dropped in version 1. */
  readonly metadata?: Metadata;
}

export interface Stop {
  /**
   * "closed" by its owner; "duplicate": a newer connection has its place; "told": the server said
   * not to come back.
   */
  readonly why: "closed" | "duplicate" | "told";
  /** What the server said, if it was the server. */
  readonly close: Close | null;
}

export interface ClientEvents {
  readonly open: Login;
  /** A connection was lost; null if the server sent no Close push. */
  readonly close: Close | null;
  readonly reconnecting: { readonly url: string; readonly delayMs: number; readonly error: Error };
  /** No attempt follows, until `connect` or `takeBack` is called. */
  readonly stopped: Stop;
}

export interface Client {
  /**
   * Resolves with the next login, or the present one. Rejects when the server refuses the login,
   * no token can be fetched, or `connectTimeoutMs` is over; it may then be called again, as after
   * a stop. An aborted signal rejects, and ends the attempts that this call began.
   */
  connect(options?: Aborting): Promise<Login>;
  /**
   * After a stop for "duplicate": logs in again, which pushes the other connection out. The same
   * as `connect`, under the name of what it does to the other one.
   */
  takeBack(options?: Aborting): Promise<Login>;
  /**
   * Rejects with RequestFailed for any status but 0, with RequestTimeout, and with ConnectionLost
   * without a connection. Nothing is sent twice: whether to repeat is the caller's decision. With
   * `queueMax` it waits for a login that is under way, within its own deadline.
   */
  request(command: number, body: Uint8Array, options?: RequestOptions): Promise<Answer>;
  /**
   * Asks now, or at the next login, and again after every login, until the returned function is
   * called; the pushes go to the handler meanwhile.
   */
  subscribe(options: SubscribeOptions, handler: (push: Push) => void): () => void;
  /** All pushes of a command, or of every command but Close. Returns what unsubscribes. */
  onPush(command: number | "*", handler: (push: Push) => void, options?: Aborting): () => void;
  on<Name extends keyof ClientEvents>(
    event: Name,
    handler: (value: ClientEvents[Name]) => void,
    options?: Aborting,
  ): () => void;
  /** Sends a heartbeat request, on WebSocket too; milliseconds there and back. */
  heartbeat(options?: Aborting): Promise<number>;
  /** Stops for good, until `connect` is called again. The session stays valid. */
  close(): Promise<void>;
  readonly state: ClientState;
  readonly session: Session | null;
}
