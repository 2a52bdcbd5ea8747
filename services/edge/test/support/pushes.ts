/** Pushes as a test writes them, and connections that may be pushed to. */
import type { Wire } from "@holdfast/client/wire";
import type { OutgoingPush } from "../../src/push/pushes.ts";
import type { TestEdge, TransportName } from "./edge.ts";
import { bytesOf, openSession, settle } from "./packets.ts";

export const quote = 50; // the command of all pushes in tests

export function outgoing(text: string, given: Partial<OutgoingPush> = {}): OutgoingPush {
  return { command: quote, body: bytesOf(text), metadata: {}, key: null, ...given };
}

export interface Member {
  readonly wire: Wire;
  readonly id: string; // of its connection
}

/** A connection that is open, and a member of the topics. */
export async function openMember(
  edge: TestEdge,
  transport: TransportName,
  ...topics: string[]
): Promise<Member> {
  const id = await nextConnection(edge);
  const { wire } = await openSession(edge, transport);
  for (const topic of topics) edge.pushes.join(id, topic);
  await settle(wire);
  return { wire, id };
}

/** The id of the connection that is opened next: they are counted in base 36. */
export async function nextConnection(edge: TestEdge): Promise<string> {
  const opened = await edge.metric("holdfast_connections_opened_total");
  return (opened + 1).toString(36);
}

/** The bodies of the next pushes, as text. */
export async function texts(wire: Wire, count: number): Promise<string[]> {
  const found: string[] = [];
  while (found.length < count) {
    const packet = await wire.next();
    if (packet.type === "push") found.push(Buffer.from(packet.body).toString());
  }
  return found;
}
