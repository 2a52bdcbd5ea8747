/**
 * Tells other nodes who lost their seats, until they say that those have gone. The bus may lose a
 * word; without this the loser would be found by its next renewal only. One record for each node
 * that a login displaced somebody on, one timer for all, and nothing that waits. [I3]
 */
import type { ClusterEvent, Loser } from "@holdfast/cluster";
import type { EdgeNode } from "./node.ts";

export const kickTickMs = 1000;

export type ConnectEvent = Extract<ClusterEvent, { type: "connect" }>;

export interface Kicks {
  /** Publishes at once, and again until it is acknowledged, or nothing is to be hoped for. */
  tell(node: string, event: Omit<ConnectEvent, "type" | "ack">): void;
  acked(event: Extract<ClusterEvent, { type: "acked" }>): void;
  /** That node is dead: nobody is left there to be closed. */
  forget(node: string): void;
  /** This node was fenced: what its store has said of seats may hold nowhere else. */
  withdraw(): void;
  /** Every `kickTickMs`. */
  tick(): void;
  /** Kicks that have not been acknowledged. */
  readonly size: number;
}

interface Kick {
  readonly node: string;
  event: ConnectEvent;
  readonly toldMs: number;
  nextMs: number;
}

export function createKicks(nodeOf: () => EdgeNode): Kicks {
  const kicks = new Map<string, Kick>(); // by loser's node and winner's connection

  return {
    tell,
    acked,
    forget,
    withdraw,
    tick,
    get size() {
      return kicks.size;
    },
  };

  function tell(name: string, about: Omit<ConnectEvent, "type" | "ack">): void {
    const { bus, clock, config, metrics } = nodeOf();
    const event: ConnectEvent = { type: "connect", ...about, ack: true };
    bus.publish(name, event);
    const key = keyOf(name, event.by.connection);
    const nowMs = clock.monotonic();
    const before = kicks.get(key); // a login that was asked again is told of its losers again
    if (before === undefined && kicks.size >= config.kicksPendingMax) {
      metrics.kickGivenUp("full"); // its renewal will find it
      return;
    }
    const told = new Set([...event.displaced, ...event.takenOver].map((one) => one.connection));
    const isOther = ({ connection }: Loser) => !told.has(connection);
    const merged = before && {
      ...event,
      displaced: [...before.event.displaced.filter(isOther), ...event.displaced],
      takenOver: [...before.event.takenOver.filter(isOther), ...event.takenOver],
    };
    const nextMs = nowMs + kickTickMs;
    kicks.set(key, { node: name, event: merged ?? event, toldMs: nowMs, nextMs });
  }

  function acked({ node, by, connections }: Extract<ClusterEvent, { type: "acked" }>): void {
    const key = keyOf(node, by);
    const kick = kicks.get(key);
    if (kick === undefined) return;
    const gone = new Set(connections);
    const isLeft = ({ connection }: Loser) => !gone.has(connection);
    const displaced = kick.event.displaced.filter(isLeft);
    const takenOver = kick.event.takenOver.filter(isLeft);
    if (displaced.length + takenOver.length === 0) kicks.delete(key);
    else kick.event = { ...kick.event, displaced, takenOver };
  }

  function forget(name: string): void {
    const { metrics } = nodeOf();
    for (const [key, kick] of kicks) {
      if (kick.node !== name) continue;
      kicks.delete(key);
      metrics.kickGivenUp("dead");
    }
  }

  function withdraw(): void {
    const { metrics } = nodeOf();
    for (let left = kicks.size; left > 0; left--) metrics.kickGivenUp("fenced");
    kicks.clear();
  }

  function tick(): void {
    if (kicks.size === 0) return;
    const { bus, clock, config, metrics } = nodeOf();
    const nowMs = clock.monotonic();
    const isConnected = bus.isConnected();
    for (const [key, kick] of kicks) {
      // By then the lease of whoever did not hear has run out, and its node has fenced it.
      if (nowMs - kick.toldMs >= config.leaseMs) {
        kicks.delete(key);
        metrics.kickGivenUp("lease");
      } else if (nowMs >= kick.nextMs && isConnected) {
        // Before it is told: were it to throw, others have their turn at the next tick.
        kick.nextMs = nowMs + pauseMs(nowMs - kick.toldMs, config.renewIntervalMs);
        bus.publish(kick.node, kick.event);
        metrics.kickRepeated();
      }
    }
  }

  /** Once its renewal must have found it, the loser is cut off, or does not know of acks. */
  function pauseMs(ageMs: number, renewIntervalMs: number): number {
    return ageMs < 1.2 * renewIntervalMs ? kickTickMs : Math.max(kickTickMs, renewIntervalMs);
  }
}

function keyOf(node: string, connection: string): string {
  return `${node}/${connection}`;
}
