/** What a soak looks at: processes, their gauges, and what Redis and NATS hold for them. */
import { exchange, type Server } from "@holdfast/servers";
import type { LabEdge } from "../lab.ts";

/** By name; of an edge: memory in bytes, descriptors, connections, gauges. */
export type Sample = ReadonlyMap<string, number>;

const processNames = [
  "process_resident_memory_bytes",
  "process_open_fds",
  "holdfast_connections_opened_total",
];
/** Each is nothing once everybody has left. [I6] */
export const gauges = [
  "holdfast_connections",
  "holdfast_logins_owned",
  "holdfast_requests_in_flight",
  "holdfast_outbound_queue_bytes",
  "holdfast_body_memory_bytes",
  "holdfast_topics",
  "holdfast_topic_memberships",
  "holdfast_pushes_waiting",
  "holdfast_kicks_pending",
  'holdfast_rate_limiter_keys{scope="account"}',
] as const;

/** Null while the edge is away. */
export async function sampleEdge(edge: LabEdge): Promise<Sample | null> {
  const answer = await fetch(`${edge.description.admin}/metrics`).catch(() => null);
  if (answer === null) return null;
  const lines = (await answer.text()).split("\n");
  return new Map(
    [...processNames, ...gauges].map((name) => {
      const those = lines.filter(
        (line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`),
      );
      const sum = those.reduce((all, line) => all + Number(line.slice(line.lastIndexOf(" "))), 0);
      return [name, sum];
    }),
  );
}

/** Keys of a Redis that nobody else uses. */
export async function keysOf({ host, port }: Server): Promise<number> {
  const isComplete = (text: string) => text.endsWith("\r\n");
  const answer = await exchange({ host, port, send: "DBSIZE\r\n", isComplete });
  return Number(answer.slice(1));
}

/** As the nats-server counts them; `monitor` is its HTTP port. */
export async function subscriptionsOf(monitor: number): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${monitor}/varz`);
  return ((await answer.json()) as { subscriptions: number }).subscriptions; // as documented
}
