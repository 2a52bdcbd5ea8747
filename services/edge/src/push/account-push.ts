/**
 * A push to an account wherever it is connected: the registry says which seats it has, those of
 * this node are served directly, other nodes are asked. How a node is asked is the caller's.
 * Pushes to one account may overtake each other: for order there are seats and topics.
 */
import { RegistryUnavailable, type SessionRegistry, type TakenSeat } from "@holdfast/session";
import { addCounts, countOne, noPushes, PushRefused, seatsPerMessageMax } from "./push-order.ts";
import type { OutgoingPush, PushCounts, Pushes } from "./pushes.ts";

/** Resolves with null when the node did not answer in time. MUST NOT reject. */
export type AskNode = (
  node: string,
  connections: readonly string[],
  push: OutgoingPush,
) => Promise<PushCounts | null>;

export interface AccountPushOptions {
  readonly nodeId: string;
  readonly pushes: Pick<Pushes, "toConnection">;
  readonly registry: Pick<SessionRegistry, "seats">;
  readonly ask: AskNode;
  /** Pushes to accounts that may be under way at once, and questions to other nodes. */
  readonly inFlightMax?: number;
}

const inFlightMaxDefault = 1024;

/** Rejects with PushRefused: "registry" or "overload". */
export function createAccountPush(
  options: AccountPushOptions,
): (account: string, push: OutgoingPush) => Promise<PushCounts> {
  const { nodeId, pushes, registry, ask, inFlightMax = inFlightMaxDefault } = options;
  let lookups = 0;
  let questions = 0;

  return async (account, push) => {
    const seats = await look(account);
    const local = seats.filter((seat) => seat.node === nodeId);
    const remote = groupByNode(seats.filter((seat) => seat.node !== nodeId));
    if (questions + remote.length > inFlightMax) throw overload();
    const asked = remote.map(([node, connections]) => question(node, connections, push));
    const outcomes = local.map((seat) => countOne(pushes.toConnection(seat.connection, push)));
    return [...outcomes, ...(await Promise.all(asked))].reduce(addCounts, noPushes);
  };

  async function look(account: string): Promise<readonly TakenSeat[]> {
    if (lookups >= inFlightMax) throw overload();
    lookups++;
    try {
      return await registry.seats(account);
    } catch (error) {
      if (!(error instanceof RegistryUnavailable)) throw error;
      throw new PushRefused("registry", "The registry did not answer", { cause: error });
    } finally {
      lookups--;
    }
  }

  /** A node that does not answer has nobody, as far as the asker can know. */
  async function question(
    node: string,
    connections: readonly string[],
    push: OutgoingPush,
  ): Promise<PushCounts> {
    questions++;
    try {
      const counts = await ask(node, connections, push);
      return counts ?? { ...noPushes, "no-connection": connections.length };
    } finally {
      questions--;
    }
  }

  function overload(): PushRefused {
    return new PushRefused("overload", `More than ${inFlightMax} pushes to accounts under way`);
  }
}

/** Parts of at most as many seats as a message may name. */
function groupByNode(seats: readonly TakenSeat[]): readonly (readonly [string, string[]])[] {
  const groups: (readonly [string, string[]])[] = [];
  const open = new Map<string, string[]>();
  for (const { node, connection } of seats) {
    const last = open.get(node);
    if (last && last.length < seatsPerMessageMax) {
      last.push(connection);
      continue;
    }
    const group = [connection];
    open.set(node, group);
    groups.push([node, group]);
  }
  return groups;
}
