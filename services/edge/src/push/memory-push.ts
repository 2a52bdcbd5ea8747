/**
 * Pushes and topics between the nodes of one process, in the place of NATS: the same addresses, the
 * same outcomes. For the embedded cluster, whose upstreams are functions.
 */
import type { Seat, SessionRegistry } from "@holdfast/session";
import { createAccountPush } from "./account-push.ts";
import { addCounts, countOne, noPushes } from "./push-order.ts";
import type { JoinOutcome, OutgoingPush, PushCounts, Pushes, PushOutcome } from "./pushes.ts";

export interface MemoryPush {
  /** A node takes part, until the returned function is called. */
  attach(node: { readonly id: string; readonly pushes: Pushes }): () => void;
  toSeat(seat: Seat, push: OutgoingPush): PushOutcome;
  /** Rejects with PushRefused, as a node on NATS would answer with an error. */
  toAccount(account: string, push: OutgoingPush): Promise<PushCounts>;
  /** Of all nodes together. */
  toTopic(topic: string, push: OutgoingPush): PushCounts;
  join(seat: Seat, topic: string): JoinOutcome;
  leave(seat: Seat, topic: string): void;
}

export function createMemoryPush(options: {
  readonly registry: Pick<SessionRegistry, "seats">;
}): MemoryPush {
  const nodes = new Map<string, Pushes>();
  const toAccount = createAccountPush({
    nodeId: "", // it is no node itself, and asks them all
    pushes: { toConnection: () => "no-connection" },
    registry: options.registry,
    ask: async (node, connections, push) =>
      connections
        .map((connection) => countOne(toSeat({ node, connection }, push)))
        .reduce(addCounts, noPushes),
  });

  return {
    attach({ id, pushes }) {
      nodes.set(id, pushes);
      return () => void nodes.delete(id);
    },
    toSeat,
    toAccount,
    toTopic: (topic, push) =>
      [...nodes.values()].map((pushes) => pushes.toTopic(topic, push)).reduce(addCounts, noPushes),
    join: ({ node, connection }, topic) =>
      nodes.get(node)?.join(connection, topic) ?? "no-connection",
    leave: ({ node, connection }, topic) => nodes.get(node)?.leave(connection, topic),
  };

  function toSeat({ node, connection }: Seat, push: OutgoingPush): PushOutcome {
    return nodes.get(node)?.toConnection(connection, push) ?? "no-connection";
  }
}
