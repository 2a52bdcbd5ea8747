/**
 * One push to one peer: straight into its socket's queue while the socket takes what it is given,
 * otherwise into the peer's lane, by the rule of its topic. Lanes are written when their sockets
 * have drained, and by the node's tick once a pace allows it.
 */
import type { EdgeNode } from "../node.ts";
import { deliver, type Peer, tooSlow } from "../peer.ts";
import { spoiled } from "../spoiled.ts";
import type { Connection, OutboundBudget } from "../transport/transport.ts";
import { clear, createLane, first, type Lane, oldestQueue, put, take, waitingOf } from "./lane.ts";
import { createPace, isInPace, step } from "./pace.ts";
import { type PushPackets, packetFor } from "./packets.ts";
import type { OutgoingPush, PushOutcome } from "./pushes.ts";
import type { Topic } from "./topics.ts";

/** What pushes come from, and wait by: a topic, or the connection itself. */
export type PushSource = Pick<Topic, "rule" | "paces">;
export type PushLane = Lane<PushSource>;

export interface Delivery {
  /** The peer is open. */
  give(peer: Peer, packets: PushPackets, source: PushSource): PushOutcome;
  drained(peer: Peer): void;
  /** Drops or closes when more waits for the peer than the bounds allow. [I6] */
  makeRoom(peer: Peer): void;
  /** What waits of the source is not wanted any more; null: nothing is. */
  forget(peer: Peer, source: PushSource | null): void;
  tick(): void;
  readonly waiting: number;
}

/** More than this is not left to the end of the turn: see first whether the socket takes it. */
const straightBytesMax = 64 * 1024;
/** No packet is smaller, so a bound on bytes bounds the packets, too. */
const packetBytesMin = 6;

export function createDelivery(nodeOf: () => EdgeNode, budget: OutboundBudget): Delivery {
  const { connectionBytesMax, connectionPacketsMax, nodeBytesMax } = budget;
  const unflushedMax = Math.min(
    straightBytesMax,
    connectionBytesMax,
    connectionPacketsMax * packetBytesMin,
  );
  /** Those with a lane. */
  const waiters = new Set<Peer>();

  return {
    give(peer, packets, source) {
      try {
        return give(peer, packets, source);
      } catch (error) {
        spoiled(peer, error); // the other members of its topic are to have it
        return "slow";
      }
    },
    drained: (peer) => void (peer.lane !== null && write(peer, peer.lane)),
    makeRoom,
    forget,
    tick,
    get waiting() {
      let count = 0;
      for (const { lane } of waiters) count += lane?.count ?? 0;
      return count;
    },
  };

  function give(peer: Peer, packets: PushPackets, source: PushSource): PushOutcome {
    if (peer.finishUntilMs > 0) return "draining";
    const packet = packetFor(packets, peer.version);
    // Nothing overtakes what waits.
    if (peer.lane !== null || isBackedUp(peer.connection, packet.length) || !mayGo(peer, source)) {
      return wait(peer, packet, packets.push, source);
    }
    send(peer, packet, packets.push.body.length, source);
    return peer.phase.at === "closed" ? "slow" : "written";
  }

  /** Asked after a flush where much is queued already: a busy turn makes no slow client. */
  function isBackedUp(connection: Connection, bytes: number): boolean {
    if (connection.isBlocked) return true;
    const pending = connection.pendingBytes;
    const isFew = pending === 0 || pending + bytes <= unflushedMax;
    if (isFew && budget.nodeBytes + bytes <= nodeBytesMax) return false;
    connection.flush();
    return connection.isBlocked;
  }

  function mayGo(peer: Peer, source: PushSource): boolean {
    if (source.rule.paceMs === null) return true;
    const pace = source.paces.get(peer);
    return pace === undefined || isInPace(pace, source.rule, nodeOf().clock.monotonic());
  }

  function send(peer: Peer, packet: Uint8Array, bodyBytes: number, source: PushSource): void {
    if (source.rule.paceMs !== null) {
      const pace = source.paces.get(peer) ?? createPace();
      source.paces.set(peer, pace);
      step(pace, source.rule, nodeOf().clock.monotonic());
    }
    deliver(peer, packet, "push", bodyBytes);
  }

  function wait(
    peer: Peer,
    packet: Uint8Array,
    { body, key }: OutgoingPush,
    source: PushSource,
  ): PushOutcome {
    const { policy, queueMax } = source.rule;
    peer.lane ??= createLane(budget);
    const { lane } = peer;
    waiters.add(peer);
    const { entry, isNew } = put(lane, source, packet, body.length, key ?? "");
    if (!isNew) nodeOf().metrics.pushDropped(policy); // the one whose place it took
    if (policy !== "close" && waitingOf(lane, source) > queueMax) drop(lane, source);
    makeRoom(peer);
    if (peer.lane === lane && !peer.connection.isBlocked) write(peer, lane);
    return entry.isDropped || peer.phase.at === "closed" ? "slow" : "written";
  }

  function makeRoom(peer: Peer): void {
    const { lane, connection } = peer;
    if (lane === null || !isOver(connection, lane)) return;
    connection.flush();
    while (isOver(connection, lane)) {
      const queue = oldestQueue(lane, ({ rule }) => rule.policy !== "close");
      if (queue === null) {
        nodeOf().metrics.pushDropped("close");
        tooSlow(peer);
        return;
      }
      drop(lane, queue.source);
    }
    if (lane.count === 0) release(peer);
  }

  function isOver({ pendingBytes }: Connection, lane: PushLane): boolean {
    if (lane.count === 0) return false;
    if (budget.nodeBytes > nodeBytesMax || lane.count > connectionPacketsMax) return true;
    const isAlone = lane.count === 1 && pendingBytes === 0;
    return !isAlone && pendingBytes + lane.bytes > connectionBytesMax;
  }

  function drop(lane: PushLane, source: PushSource): void {
    const queue = lane.queues.get(source);
    if (queue === undefined) return;
    take(lane, queue).isDropped = true;
    nodeOf().metrics.pushDropped(source.rule.policy);
  }

  /** The oldest that may go, one after the other, while the socket takes them. */
  function write(peer: Peer, lane: PushLane): void {
    const may = (source: PushSource): boolean => mayGo(peer, source);
    while (peer.lane === lane) {
      const queue = oldestQueue(lane, may);
      if (queue === null || isBackedUp(peer.connection, first(queue).packet.length)) return;
      const { packet, bodyBytes } = take(lane, queue);
      if (lane.count === 0) release(peer);
      send(peer, packet, bodyBytes, queue.source);
    }
  }

  function forget(peer: Peer, source: PushSource | null): void {
    const { lane } = peer;
    if (lane === null) return;
    clear(lane, source);
    if (lane.count === 0) release(peer);
  }

  function release(peer: Peer): void {
    peer.lane = null;
    waiters.delete(peer);
  }

  function tick(): void {
    for (const peer of waiters) {
      try {
        if (peer.lane !== null && !peer.connection.isBlocked) write(peer, peer.lane);
      } catch (error) {
        spoiled(peer, error); // or those behind it would wait for ever
      }
    }
  }
}
