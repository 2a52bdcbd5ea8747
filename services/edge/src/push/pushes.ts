/**
 * The seam between whoever brings pushes (NATS, or functions inside the process) and the peers of
 * this node: to a connection, or to all that have joined a topic. Nothing here knows NATS.
 */
import type { Metadata } from "@holdfast/protocol";

/** One push on its way to one connection or to many; encoded once for each version. */
export interface OutgoingPush {
  readonly command: number; // 4 to 255
  readonly body: Uint8Array; // uncompressed; compressed once where it pays [D08]
  readonly metadata: Metadata; // version 2 only
  /** Topics that conflate keep the newest of each key; null: of the topic. */
  readonly key: string | null;
}

/**
 * written: queued for the socket. no-connection: nobody of that id, or it is not open yet. slow: it
 * was dropped, or the connection was closed, because the client does not read. draining: the
 * connection has been told to leave.
 */
export type PushOutcome = "written" | "no-connection" | "slow" | "draining";
export type PushCounts = Readonly<Record<PushOutcome, number>>;

export type JoinOutcome = "joined" | "no-connection" | "limit" | "bad-name";

export interface Pushes {
  toConnection(connection: string, push: OutgoingPush): PushOutcome;
  toTopic(topic: string, push: OutgoingPush): PushCounts;
  join(connection: string, topic: string): JoinOutcome;
  leave(connection: string, topic: string): void;
  /** Called when a topic gets its first member on this node, and when its last one has left. */
  onInterest(hear: (topic: string, isWanted: boolean) => void): void;
  readonly topics: ReadonlySet<string>; // those with a member
}

/** 1 to 200 characters in dot-separated parts; no wildcard, so that it can be a NATS subject. */
const topicPattern = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;
export const topicCharsMax = 200;

export function isTopic(name: string): boolean {
  return name.length <= topicCharsMax && topicPattern.test(name);
}
