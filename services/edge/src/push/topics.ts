/**
 * Which connections of this node have joined which topics. Allocates for a topic when its first
 * member comes, and for a connection when it joins its first topic.
 */
import type { Peer } from "../peer.ts";
import type { Pace } from "./pace.ts";
import { ruleOf, type TopicRule } from "./topic-rules.ts";

export interface Topic {
  readonly name: string;
  readonly rule: TopicRule;
  readonly members: Set<Peer>;
  /** Of members that were sent something, where the rule has a pace. */
  readonly paces: Map<Peer, Pace>;
}

export interface TopicLimits {
  readonly topicsPerConnectionMax: number;
  readonly topicsMax: number;
  readonly topicMembershipsMax: number;
}

export interface Topics {
  readonly names: ReadonlySet<string>;
  readonly memberships: number;
  get(name: string): Topic | undefined;
  /** Joining twice is joining once. */
  join(peer: Peer, name: string): "joined" | "limit";
  /** Null: it was no member. */
  leave(peer: Peer, name: string): Topic | null;
  leaveAll(peer: Peer): void;
}

export function createTopics(
  limits: TopicLimits,
  rules: readonly TopicRule[],
  interested: (topic: string, isWanted: boolean) => void,
): Topics {
  const topics = new Map<string, Topic>();
  const names = new Set<string>();
  const noPaces = new Map<Peer, Pace>(); // shared by all topics without one, and always empty
  let memberships = 0;

  return {
    names,
    get memberships() {
      return memberships;
    },
    get: (name) => topics.get(name),
    join,
    leave,
    leaveAll,
  };

  function join(peer: Peer, name: string): "joined" | "limit" {
    const topic = topics.get(name);
    if (topic?.members.has(peer)) return "joined";
    const isFull =
      (peer.topics?.size ?? 0) >= limits.topicsPerConnectionMax ||
      memberships >= limits.topicMembershipsMax ||
      (topic === undefined && topics.size >= limits.topicsMax);
    if (isFull) return "limit";
    const joined = topic ?? open(name);
    joined.members.add(peer);
    peer.topics ??= new Set();
    peer.topics.add(joined);
    memberships++;
    if (topic === undefined) interested(name, true);
    return "joined";
  }

  function open(name: string): Topic {
    const rule = ruleOf(rules, name);
    const paces = rule.paceMs === null ? noPaces : new Map<Peer, Pace>();
    const topic = { name, rule, members: new Set<Peer>(), paces };
    topics.set(name, topic);
    names.add(name);
    return topic;
  }

  function leave(peer: Peer, name: string): Topic | null {
    const topic = topics.get(name);
    if (topic === undefined || !topic.members.has(peer)) return null;
    peer.topics?.delete(topic);
    if (peer.topics?.size === 0) peer.topics = null;
    part(peer, topic);
    return topic;
  }

  function leaveAll(peer: Peer): void {
    const left = peer.topics;
    if (left === null) return;
    peer.topics = null;
    for (const topic of left) part(peer, topic);
  }

  function part(peer: Peer, topic: Topic): void {
    topic.members.delete(peer);
    topic.paces.delete(peer);
    memberships--;
    if (topic.members.size > 0) return;
    topics.delete(topic.name);
    names.delete(topic.name);
    interested(topic.name, false);
  }
}
