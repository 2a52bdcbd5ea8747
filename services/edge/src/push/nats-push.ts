/**
 * Pushes and topics over NATS: `hf.push` to accounts, `hf.topic.<name>` to members, and to single
 * connections what the bus hands on from `hf.node.<node>`. A message that is a request is answered
 * with its outcome; one that is none is carried out in silence. What happens on the node itself is
 * behind `Pushes`.
 */
import type { BusFault } from "@holdfast/cluster";
import type { NatsLink } from "@holdfast/cluster/nats";
import { type Clock, systemClock } from "@holdfast/runtime";
import type { SessionRegistry } from "@holdfast/session";
import { headers as createHeaders, type Msg, type MsgHdrs, type Subscription } from "nats";
import { createAccountPush } from "./account-push.ts";
import type { OrderMetrics, PushAddress } from "./order-metrics.ts";
import {
  addCounts,
  answerOf,
  countOne,
  countsIn,
  noPushes,
  type PushAnswer,
  PushRefused,
  readAccount,
  readPush,
  readSeats,
  readTopicChange,
  type TopicChange,
} from "./push-order.ts";
import type { OutgoingPush, PushCounts, Pushes } from "./pushes.ts";
import { createTopicInterest } from "./topic-interest.ts";

export interface NatsPushOptions {
  readonly link: NatsLink;
  readonly pushes: Pushes;
  readonly registry: Pick<SessionRegistry, "seats">;
  readonly nodeId: string;
  /** The first part of every subject. Default: hf. */
  readonly prefix?: string;
  readonly clock?: Clock;
  /** How long a topic without members stays subscribed, in case one comes back. */
  readonly keepTopicMs?: number;
  readonly onFault: (fault: BusFault, error: unknown) => void;
  readonly metrics: OrderMetrics;
}

export interface NatsPush {
  /** Resolves when the subscriptions stand; rejects when NATS does not permit them. */
  start(): Promise<void>;
  /** Hears nothing from here on. May be called twice. */
  stop(): void;
  /** A message on this node's own subject, which the bus has found to be a push. Never throws. */
  hearNode(message: Msg): void;
  readonly topicSubscriptions: number;
}

const confirmTimeoutMs = 2_000;
const askTimeoutMs = 1_000;
const keepTopicMsDefault = 1_000;
const noHeaders = createHeaders();
const encoder = new TextEncoder();

export function createNatsPush(options: NatsPushOptions): NatsPush {
  const { link, pushes, nodeId, prefix = "hf", onFault, metrics } = options;
  const { clock = systemClock, keepTopicMs = keepTopicMsDefault } = options;
  const toAccount = createAccountPush({ nodeId, pushes, registry: options.registry, ask });
  const subscriptions: Subscription[] = [];
  const refusals: Error[] = [];
  let isStopped = false;
  const topicPrefix = `${prefix}.topic.`;
  const interest = createTopicInterest({
    clock,
    keepMs: keepTopicMs,
    subscribe: (topic) => subscribe(`${topicPrefix}${topic}`, hearTopic),
  });

  return {
    start,
    stop,
    hearNode,
    get topicSubscriptions() {
      return interest.size;
    },
  };

  async function start(): Promise<void> {
    subscriptions.push(subscribe(`${prefix}.push`, hearAccount, "edges"));
    pushes.onInterest(interest.set);
    for (const topic of pushes.topics) interest.set(topic, true);
    const isConfirmed = await link.ping(confirmTimeoutMs);
    if (isConfirmed && refusals.length === 0) return;
    stop();
    const reason = refusals[0]?.message ?? `not confirmed within ${confirmTimeoutMs} ms`;
    throw new Error(`Cannot subscribe to ${prefix}.push: ${reason}`);
  }

  function stop(): void {
    isStopped = true;
    interest.stop();
    for (const subscription of subscriptions.splice(0)) {
      if (!subscription.isClosed()) subscription.unsubscribe();
    }
  }

  function subscribe(subject: string, hear: (message: Msg) => void, queue?: string): Subscription {
    return link.client.subscribe(subject, {
      ...(queue ? { queue } : {}),
      callback(error, message) {
        if (error === null) hear(message);
        else {
          refusals.push(error);
          onFault("subscribe", error);
        }
      },
    });
  }

  function hearNode(message: Msg): void {
    if (isStopped) return;
    const headers = headersOf(message);
    const isChange = headers.has("Holdfast-Join") || headers.has("Holdfast-Leave");
    carryOut(isChange ? "members" : "seat", message, () => {
      const seats = readSeats(headers, nodeId);
      const change = readTopicChange(headers);
      if (change === null) return pushTo(seats, readPush(headers, message.data));
      if (!headers.has("Holdfast-Command")) return changeTopics(seats, change);
      throw new PushRefused("command", "A message is a push or a change of topics, not both");
    });
  }

  function pushTo(connections: readonly (string | null)[], push: OutgoingPush): PushAnswer {
    const outcomes = connections.map((connection) =>
      countOne(connection === null ? "no-connection" : pushes.toConnection(connection, push)),
    );
    return answerOf(outcomes.reduce(addCounts, noPushes));
  }

  function changeTopics(
    connections: readonly (string | null)[],
    { join, leave }: TopicChange,
  ): PushAnswer {
    const counts = { joined: 0, left: 0, limit: 0, "no-connection": 0 };
    for (const connection of connections) {
      if (connection === null) counts["no-connection"]++;
      else {
        for (const topic of leave) pushes.leave(connection, topic);
        counts.left += leave.length;
        for (const topic of join) {
          const outcome = pushes.join(connection, topic);
          if (outcome === "bad-name") throw new PushRefused("topic", "A name that is no topic");
          counts[outcome]++;
        }
      }
    }
    const worst = (["no-connection", "limit"] as const).find((outcome) => counts[outcome] > 0);
    return { outcome: worst ?? (join.length > 0 ? "joined" : "left"), ...counts };
  }

  function hearAccount(message: Msg): void {
    const headers = headersOf(message);
    carryOut("account", message, async () => {
      const push = readPush(headers, message.data);
      return answerOf(await toAccount(readAccount(headers), push));
    });
  }

  function hearTopic(message: Msg): void {
    const topic = message.subject.slice(topicPrefix.length);
    carryOut("topic", message, () =>
      answerOf(pushes.toTopic(topic, readPush(headersOf(message), message.data))),
    );
  }

  /** MUST NOT throw: the library would stop reading, and the connection would be deaf. */
  function carryOut(
    address: PushAddress,
    message: Msg,
    act: () => PushAnswer | Promise<PushAnswer>,
  ): void {
    const done = (outcome: PushAnswer) => {
      metrics.answered(address, outcome.outcome);
      answer(message, outcome, null);
    };
    try {
      const outcome = act();
      if (outcome instanceof Promise) outcome.then(done).catch(failed);
      else done(outcome);
    } catch (error) {
      failed(error);
    }

    function failed(error: unknown): void {
      const isRefused = error instanceof PushRefused;
      if (!isRefused) onFault("deliver", error);
      metrics.refused(isRefused ? error.flaw : "internal");
      const words = isRefused ? error.message : "Internal error";
      answer(message, { outcome: "error", ...noPushes, error: words }, words);
    }
  }

  function answer(message: Msg, body: PushAnswer, error: string | null): void {
    if (!message.reply) return;
    const headers = createHeaders();
    headers.set("Holdfast-Outcome", body.outcome);
    if (error !== null) headers.set("Holdfast-Error", error.replace(/[^ -~]/g, "?"));
    link.publish(message.reply, encoder.encode(JSON.stringify(body)), { headers });
  }

  async function ask(
    node: string,
    connections: readonly string[],
    push: OutgoingPush,
  ): Promise<PushCounts | null> {
    // The library would keep the question, and ask when nobody waits for the answer any more.
    if (!link.isConnected()) return null;
    try {
      const subject = `${prefix}.node.${node}`;
      const headers = headersFor(node, connections, push);
      const options = { timeout: askTimeoutMs, headers };
      return countsIn((await link.client.request(subject, push.body, options)).data);
    } catch (error) {
      if (!isSilence(error)) onFault("publish", error);
      return null;
    }
  }
}

function headersOf(message: Msg): MsgHdrs {
  return message.headers ?? noHeaders;
}

function headersFor(node: string, connections: readonly string[], push: OutgoingPush): MsgHdrs {
  const headers = createHeaders();
  headers.set("Holdfast-Seat", connections.map((one) => `${node}/${one}`).join(","));
  headers.set("Holdfast-Command", String(push.command));
  const form = Object.entries(push.metadata)
    .map(([key, value]) => `${percent(key)}=${percent(value)}`)
    .join("&");
  if (form !== "") headers.set("Holdfast-Metadata", form);
  if (push.key !== null) headers.set("Holdfast-Key", percent(push.key));
  return headers;
}

function percent(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

/** Nobody of that name is there, or it does not answer: a node that has just gone. */
function isSilence(error: unknown): boolean {
  return error instanceof Error && "code" in error && /^(503|TIMEOUT)$/.test(String(error.code));
}
