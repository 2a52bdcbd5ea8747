/** Who is let in: asked before there is a connection, the cheapest place to refuse one. */
import { spread } from "./admission.ts";
import type { EdgeNode } from "./node.ts";
import type { Origin, Refusal } from "./transport/transport.ts";

export function gate(asked: {
  readonly node: EdgeNode;
  readonly transport: "tcp" | "ws";
  readonly origin: Origin;
  readonly isRedisUp: () => boolean;
}): Refusal | null {
  const { node, transport } = asked;
  const { hub, config, addresses, admission } = node;
  if (hub.sockets >= config.connectionsMax) return later(node, "limit");
  if (hub.unauthenticated >= config.unauthenticatedMax) return later(node, "unauthenticated");
  const limited = addresses.refusalOf(addresses.keyOf(asked.origin));
  if (limited !== null) return later(node, limited.reason, limited.waitMs);
  // No login can be served: a refused upgrade is the one refusal after which every client keeps
  // its session. TCP has no such word, and gets 7 / 503 on its login.
  if (transport === "tcp") return null;
  if (!asked.isRedisUp()) return later(node, "unavailable");
  if (admission.isOpen(node.clock.monotonic())) return null;
  return later(node, "unavailable", admission.retryAfterMs);
}

function later({ config }: EdgeNode, reason: Refusal["reason"], waitMs = 0): Refusal {
  const seconds = Math.ceil(spread(waitMs || config.retryAfterSeconds * 1000) / 1000);
  const status = reason === "ip_rate" || reason === "ip_open" ? 429 : 503;
  return { reason, status, retryAfterSeconds: Math.max(1, seconds) };
}
