/** What became of a seat, told to whoever listens on the bus: fire and forget. */
import type { Notice } from "@holdfast/cluster";
import type { Session } from "@holdfast/session";
import type { EdgeNode } from "./node.ts";

export function notify(
  node: EdgeNode,
  kind: Notice["kind"],
  session: Pick<Session, "tag" | "account" | "sid" | "generation">,
  seat: Notice["seat"],
  reason = "",
): void {
  const { tag, account, sid, generation } = session;
  const at = { node: seat.node, connection: seat.connection };
  const atMs = node.clock.now();
  node.bus.notify({ kind, tag, account, sid, generation, seat: at, reason, atMs });
}
