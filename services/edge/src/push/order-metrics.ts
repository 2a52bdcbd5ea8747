/** What messages from upstreams asked for, and what came of it. */
import type { Metrics } from "@holdfast/runtime";
import type { PushFlaw } from "./push-order.ts";

/** Whom a message is for. "members": it changes topics. A label. */
export type PushAddress = "seat" | "members" | "account" | "topic";

export interface OrderMetrics {
  answered(address: PushAddress, outcome: string): void;
  refused(flaw: PushFlaw): void;
}

export function createOrderMetrics(metrics: Metrics, subscriptions: () => number): OrderMetrics {
  const messages = metrics.counter({
    name: "holdfast_push_messages_total",
    help: "Messages from upstreams that were carried out, by whom they are for and what came of it",
    labels: ["address", "outcome"],
  });
  const refusals = metrics.counter({
    name: "holdfast_push_refused_total",
    help: "Messages from upstreams that were not carried out, by what was wrong",
    labels: ["reason"],
  });
  metrics.gauge({
    name: "holdfast_topic_subscriptions",
    help: "Topics this node listens to on NATS",
    read: subscriptions,
  });
  return {
    answered: (address, outcome) => messages.labels({ address, outcome }).inc(),
    refused: (reason) => refusals.labels({ reason }).inc(),
  };
}
