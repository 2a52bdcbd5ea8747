/**
 * Pushes that wait for one client: because its socket is blocked, or because their topic is paced.
 * Responses do not wait here, so they go ahead. A queue for each topic, and an order over all of
 * them; what waits counts in the node's outbound bytes. Knows no policy, and no socket.
 */
import type { OutboundBudget } from "../transport/transport.ts";
import type { TopicRule } from "./topic-rules.ts";

/** Where pushes come from: a topic, or (one for all of them) pushes to a connection. */
export interface Source {
  readonly rule: TopicRule;
}

export interface Waiting {
  packet: Uint8Array;
  bodyBytes: number;
  readonly key: string;
  readonly order: number;
  isDropped: boolean;
}

export interface Queue<S extends Source> {
  readonly source: S;
  /** From `head` on; what is before it has left. */
  readonly entries: Waiting[];
  head: number;
  /** Only of a topic that conflates. */
  readonly byKey: Map<string, Waiting> | null;
}

/** Plain data, made when something has to wait for its client and dropped when nothing does. */
export interface Lane<S extends Source> {
  readonly budget: OutboundBudget;
  readonly queues: Map<S, Queue<S>>; // none of them is empty
  bytes: number;
  count: number;
  lastOrder: number;
}

export function createLane<S extends Source>(budget: OutboundBudget): Lane<S> {
  return { budget, queues: new Map(), bytes: 0, count: 0, lastOrder: 0 };
}

/**
 * At the end, or, on a topic that conflates, in the place of the one with its key. `isNew` is false
 * if that one was replaced.
 */
export function put<S extends Source>(
  lane: Lane<S>,
  source: S,
  packet: Uint8Array,
  bodyBytes: number,
  key: string,
): { readonly entry: Waiting; readonly isNew: boolean } {
  let queue = lane.queues.get(source);
  if (queue === undefined) {
    const byKey = source.rule.policy === "conflate" ? new Map() : null;
    queue = { source, entries: [], head: 0, byKey };
    lane.queues.set(source, queue);
  }
  const old = queue.byKey?.get(key);
  if (old !== undefined) {
    count(lane, 0, packet.length - old.packet.length);
    old.packet = packet;
    old.bodyBytes = bodyBytes;
    return { entry: old, isNew: false };
  }
  const entry = { packet, bodyBytes, key, order: ++lane.lastOrder, isDropped: false };
  queue.entries.push(entry);
  queue.byKey?.set(key, entry);
  count(lane, 1, packet.length);
  return { entry, isNew: true };
}

export function waitingOf<S extends Source>(lane: Lane<S>, source: S): number {
  const queue = lane.queues.get(source);
  return queue === undefined ? 0 : queue.entries.length - queue.head;
}

/** The queue whose first entry is the oldest among those of the sources that may. */
export function oldestQueue<S extends Source>(
  lane: Lane<S>,
  may: (source: S) => boolean,
): Queue<S> | null {
  let found: Queue<S> | null = null;
  for (const queue of lane.queues.values()) {
    const isOlder = found === null || first(queue).order < first(found).order;
    if (isOlder && may(queue.source)) found = queue;
  }
  return found;
}

export function first<S extends Source>(queue: Queue<S>): Waiting {
  return queue.entries[queue.head]!; // a queue in a lane is never empty
}

export function take<S extends Source>(lane: Lane<S>, queue: Queue<S>): Waiting {
  const entry = first(queue);
  queue.byKey?.delete(entry.key);
  count(lane, -1, -entry.packet.length);
  queue.head++;
  if (queue.head === queue.entries.length) lane.queues.delete(queue.source);
  else if (queue.head >= 64 && queue.head * 2 > queue.entries.length) {
    queue.entries.splice(0, queue.head);
    queue.head = 0;
  }
  return entry;
}

/** Forgets all that waits of one source; null: of all. */
export function clear<S extends Source>(lane: Lane<S>, source: S | null): void {
  const queues = source === null ? [...lane.queues.values()] : [lane.queues.get(source)];
  for (const queue of queues) {
    while (queue !== undefined && lane.queues.has(queue.source)) take(lane, queue);
  }
}

function count<S extends Source>(lane: Lane<S>, entries: number, bytes: number): void {
  lane.count += entries;
  lane.bytes += bytes;
  lane.budget.nodeBytes += bytes;
}
