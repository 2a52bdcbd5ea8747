/** What is counted of pushes and topics; part of the list in metrics.ts. */
import type { Metrics } from "@holdfast/runtime";
import type { JoinOutcome, PushOutcome } from "./pushes.ts";
import type { TopicPolicy } from "./topic-rules.ts";

type Counted = PushOutcome | "too-large";

const words = {
  written: "sent",
  "no-connection": "no_connection",
  slow: "queue_full",
  draining: "draining",
  "too-large": "too_large",
} as const;

const counted = Object.keys(words) as Counted[]; // the keys of the record above
const policies: readonly TopicPolicy[] = ["close", "drop-oldest", "conflate"];
const joinOutcomes: readonly JoinOutcome[] = ["joined", "no-connection", "limit", "bad-name"];

export function pushMetrics(metrics: Metrics) {
  const pushes = metrics.counter({
    name: "holdfast_pushes_total",
    help: "Pushes by what became of them, once for each connection they were for",
    labels: ["outcome"],
  });
  const dropped = metrics.counter({
    name: "holdfast_pushes_dropped_total",
    help: "Pushes that waited for a client and were given up, by their topic's policy",
    labels: ["policy"],
  });
  const joins = metrics.counter({
    name: "holdfast_topic_joins_total",
    help: "Connections that were to join a topic, by outcome",
    labels: ["outcome"],
  });
  const outcomes = cells(counted, (outcome) => pushes.labels({ outcome: words[outcome] }));
  const drops = cells(policies, (policy) => dropped.labels({ policy: policy.replace("-", "_") }));
  const joined = cells(joinOutcomes, (outcome) =>
    joins.labels({ outcome: outcome.replace("-", "_") }),
  );
  return {
    pushed: (outcome: Counted, count: number) => outcomes[outcome].inc(count),
    pushDropped: (policy: TopicPolicy) => drops[policy].inc(),
    joined: (outcome: JoinOutcome) => joined[outcome].inc(),
  };
}

function cells<Name extends string, Cell>(names: readonly Name[], make: (name: Name) => Cell) {
  const entries = names.map((name) => [name, make(name)]);
  return Object.fromEntries(entries) as Record<Name, Cell>; // an entry for every name
}
