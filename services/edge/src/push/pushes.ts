/**
 * The seam between whoever brings pushes (NATS, or functions inside the process) and the peers of
 * this node: to a connection, or to all that have joined a topic. Nothing here knows NATS.
 */
import assert from "node:assert/strict";
import { bodyBytesMax, Command, type Metadata } from "@holdfast/protocol";
import type { EdgeNode } from "../node.ts";
import type { Peer } from "../peer.ts";
import type { OutboundBudget } from "../transport/transport.ts";
import { createDelivery, type PushSource } from "./delivery.ts";
import { createPackets, type PushPackets, packetFor } from "./packets.ts";
import { defaultRule, type TopicRule } from "./topic-rules.ts";
import { createTopics, type TopicLimits } from "./topics.ts";

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

/**
 * To the same connection, pushes of one topic (and those to the connection itself) keep their
 * order. A body that no packet can carry is a RangeError, thrown before anything is written. [§5.5]
 */
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

export interface PushOptions {
  /** The first that matches a topic's name is its rule. */
  readonly rules: readonly TopicRule[];
  readonly limits: TopicLimits;
  readonly outbound: OutboundBudget;
}

export interface TopicChange {
  readonly join?: readonly string[];
  readonly leave?: readonly string[];
}

/** What the rest of the node tells the pushes. */
export interface NodePushes extends Pushes {
  /** What an upstream's reply asks for. MUST be called before its response is written. */
  change(peer: Peer, asked: TopicChange): void;
  /** The peer's socket has taken all that waited for it. */
  drained(peer: Peer): void;
  /** Something else was queued for the socket, and more than the bounds allow may wait now. [I6] */
  makeRoom(peer: Peer): void;
  /** The peer has closed: no member any more, and nothing waits for it. */
  released(peer: Peer): void;
  /** Writes what was held back by the pace of its topic, until now. */
  tick(): void;
  readonly memberships: number;
  /** Pushes that wait for clients outside of their sockets' queues. */
  readonly waiting: number;
}

export const pushTickMs = 20;

export function createPushes(nodeOf: () => EdgeNode, options: PushOptions): NodePushes {
  const hearers: ((topic: string, isWanted: boolean) => void)[] = [];
  const topics = createTopics(options.limits, options.rules, (topic, isWanted) => {
    for (const hear of hearers) hear(topic, isWanted);
  });
  const delivery = createDelivery(nodeOf, options.outbound);
  const direct: PushSource = { rule: defaultRule, paces: new Map() };

  return {
    toConnection,
    toTopic,
    join: (connection, topic) => {
      const peer = nodeOf().hub.peers.get(connection);
      return counted(peer === undefined ? "no-connection" : join(peer, topic));
    },
    leave(connection, topic) {
      const peer = nodeOf().hub.peers.get(connection);
      if (peer !== undefined) leave(peer, topic);
    },
    onInterest: (hear) => void hearers.push(hear),
    topics: topics.names,
    change,
    drained: delivery.drained,
    makeRoom: delivery.makeRoom,
    released(peer) {
      topics.leaveAll(peer);
      delivery.forget(peer, null);
    },
    tick: delivery.tick,
    get memberships() {
      return topics.memberships;
    },
    get waiting() {
      return delivery.waiting;
    },
  };

  function toConnection(connection: string, push: OutgoingPush): PushOutcome {
    const packets = prepare(push);
    const outcome = toPeer(nodeOf().hub.peers.get(connection), packets);
    nodeOf().metrics.pushed(outcome, 1);
    return outcome;
  }

  function toPeer(peer: Peer | undefined, packets: PushPackets): PushOutcome {
    // One that was told to leave, and has left, cannot be told from one that never was.
    if (peer === undefined) return nodeOf().isDraining ? "draining" : "no-connection";
    // Open, it has been answered: both happen in one turn, with no call to others in between.
    if (peer.phase.at !== "open") return "no-connection";
    return delivery.give(peer, packets, direct);
  }

  function toTopic(name: string, push: OutgoingPush): PushCounts {
    const packets = prepare(push);
    const counts = { written: 0, "no-connection": 0, slow: 0, draining: 0 };
    const topic = topics.get(name);
    if (topic === undefined) return counts;
    // A member that closes leaves the set while it is walked, which a Set allows.
    for (const peer of topic.members) counts[delivery.give(peer, packets, topic)]++;
    const { metrics } = nodeOf();
    metrics.pushed("written", counts.written);
    metrics.pushed("slow", counts.slow);
    metrics.pushed("draining", counts.draining);
    return counts;
  }

  function prepare(push: OutgoingPush): PushPackets {
    // Control commands are the node's own; who brings pushes has checked what came from outside.
    assert(push.command > Command.reconnect && push.command <= 0xff);
    const packets = createPackets(push, nodeOf().compress);
    if (push.body.length > bodyBytesMax) mustFit(packets);
    return packets;
  }

  /** It may, once compressed. */
  function mustFit(packets: PushPackets): void {
    try {
      packetFor(packets, 1);
    } catch (error) {
      nodeOf().metrics.pushed("too-large", 1);
      throw error;
    }
  }

  function join(peer: Peer, topic: string): JoinOutcome {
    if (!isTopic(topic)) return "bad-name";
    if (peer.phase.at !== "open") return "no-connection";
    return topics.join(peer, topic);
  }

  function leave(peer: Peer, name: string): void {
    const topic = topics.leave(peer, name);
    if (topic !== null) delivery.forget(peer, topic);
  }

  function change(peer: Peer, asked: TopicChange): void {
    for (const topic of asked.leave ?? []) leave(peer, topic);
    for (const topic of asked.join ?? []) counted(join(peer, topic));
  }

  function counted(outcome: JoinOutcome): JoinOutcome {
    nodeOf().metrics.joined(outcome);
    return outcome;
  }
}
