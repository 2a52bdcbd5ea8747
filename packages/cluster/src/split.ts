/** Keeps every message on the bus small: an event about many connections becomes several. */
import type { ClusterEvent } from "./bus.ts";

/** With ids of the usual length this is about 40 kB, far below what NATS accepts (1 MB). */
export const CONNECTIONS_PER_EVENT_MAX = 1000;

/** Events that together say the same. The lists are copies: the caller may reuse its own. */
export function splitEvent(event: ClusterEvent): readonly ClusterEvent[] {
  switch (event.type) {
    case "connect": {
      const { displaced, takenOver } = event;
      return windows(displaced.length + takenOver.length).map(([from, to]) => ({
        ...event,
        displaced: displaced.slice(from, to),
        takenOver: takenOver.slice(
          Math.max(0, from - displaced.length),
          Math.max(0, to - displaced.length),
        ),
      }));
    }
    case "ended":
      return windows(event.losers.length).map(([from, to]) => ({
        ...event,
        losers: event.losers.slice(from, to),
      }));
    case "acked":
      return windows(event.connections.length).map(([from, to]) => ({
        ...event,
        connections: event.connections.slice(from, to),
      }));
    case "drain":
      return [event];
    default:
      return event satisfies never;
  }
}

/** From and to over a list of `length`; one even when it is empty, for the event still counts. */
function windows(length: number): readonly (readonly [number, number])[] {
  const count = Math.max(1, Math.ceil(length / CONNECTIONS_PER_EVENT_MAX));
  return Array.from({ length: count }, (_, index) => {
    const from = index * CONNECTIONS_PER_EVENT_MAX;
    return [from, from + CONNECTIONS_PER_EVENT_MAX] as const;
  });
}
