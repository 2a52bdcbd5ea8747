/** What an upstream says to the nodes over NATS, as a test writes it, and what they answer. */
import { expect } from "bun:test";
import { headers as createHeaders, type MsgHdrs } from "nats";
import type { PushCluster, PushingEdge } from "./nats-edges.ts";
import { bytesOf } from "./packets.ts";
import { type Member, quote } from "./pushes.ts";

export type Fields = Readonly<Record<string, string>>;

export const fieldsOfCommand = { "Holdfast-Command": String(quote) };
export const command = headersOf(fieldsOfCommand);

export function nodeOf(edge: PushingEdge): string {
  return `hf.node.${edge.edge.id}`;
}

export function toSeat(edge: PushingEdge, { id }: Pick<Member, "id">): Fields {
  return { "Holdfast-Seat": `${edge.edge.id}/${id}`, ...fieldsOfCommand };
}

export function toAccount(account: string): Fields {
  return { "Holdfast-Account": encodeURIComponent(account), ...fieldsOfCommand };
}

export function headersOf(fields: Fields): MsgHdrs {
  const headers = createHeaders();
  for (const [name, value] of Object.entries(fields)) headers.set(name, value);
  return headers;
}

export function counts(some: Readonly<Record<string, number>>) {
  const none = { written: 0, "no-connection": 0, slow: 0, draining: 0 };
  const outcome = Object.keys(some).sort().at(-1) ?? "no-connection";
  return { outcome, ...none, ...some };
}

export async function ask(cluster: PushCluster, subject: string, fields: Fields, text = "") {
  const headers = headersOf(fields);
  const asking = { headers, timeout: 5000 };
  const answer = await cluster.outside.client.request(subject, bytesOf(text), asking);
  const said = answer.headers?.get("Holdfast-Outcome") ?? "";
  const error = answer.headers?.get("Holdfast-Error") ?? "";
  return { said, error, body: answer.json<unknown>() };
}

/** Resolves when the node's subscriptions stand. */
export async function join(
  cluster: PushCluster,
  edge: PushingEdge,
  { id }: Pick<Member, "id">,
  topics: string,
) {
  const seat = `${edge.edge.id}/${id}`;
  const fields = { "Holdfast-Seat": seat, "Holdfast-Join": topics };
  const answer = await ask(cluster, nodeOf(edge), fields);
  await edge.link.ping(2000);
  return answer;
}

export async function leave(
  cluster: PushCluster,
  edge: PushingEdge,
  { id }: Member,
  topics: string,
) {
  const fields = { "Holdfast-Seat": `${edge.edge.id}/${id}`, "Holdfast-Leave": topics };
  expect((await ask(cluster, nodeOf(edge), fields)).said).toBe("left");
}

/** False: NATS knows nobody who listens. */
export async function isHeard(cluster: PushCluster, topic: string): Promise<boolean> {
  try {
    await ask(cluster, `hf.topic.${topic}`, fieldsOfCommand);
    return true;
  } catch (error) {
    expect(String(error)).toContain("503");
    return false;
  }
}
