/** Who is let in: asked where it costs least to refuse one. */
import { spread } from "./admission.ts";
import type { EdgeNode } from "./node.ts";
import type { Origin, Refusal } from "./transport/transport.ts";

/** When a socket has come, before anything of it is read. */
export function gate(node: EdgeNode, origin: Origin): Refusal | null {
  const { hub, config, addresses } = node;
  if (isFull(node)) return later(node, "limit");
  if (hub.unauthenticated >= config.unauthenticatedMax) return later(node, "unauthenticated");
  const limited = addresses.refusalOf(addresses.keyOf(origin));
  return limited === null ? null : later(node, limited.reason, limited.waitMs);
}

/**
 * When its upgrade has come: no login can be served. A refused upgrade is the one refusal after
 * which every client keeps its session. TCP has no such word, and gets 7 / 503 on its login.
 */
export function gateOfUpgrade(node: EdgeNode, isRedisUp: boolean): Refusal | null {
  const { admission } = node;
  if (!isRedisUp) return later(node, "unavailable");
  if (admission.isOpen(node.clock.monotonic())) return null;
  return later(node, "unavailable", admission.retryAfterMs);
}

/** Sockets count from their acceptance on: each has a descriptor. */
export function isFull({ hub, arriving, config }: EdgeNode): boolean {
  return hub.sockets + arriving.count >= config.connectionsMax;
}

function later({ config }: EdgeNode, reason: Refusal["reason"], waitMs = 0): Refusal {
  const seconds = Math.ceil(spread(waitMs || config.retryAfterSeconds * 1000) / 1000);
  const status = reason === "ip_rate" || reason === "ip_open" ? 429 : 503;
  return { reason, status, retryAfterSeconds: Math.max(1, seconds) };
}
