/**
 * The bus on NATS: `hf.node.<node>` and `hf.nodes` carry events, `hf.event.<kind>.<TAG>` notices.
 * NATS is a wire here and no memory; what it loses is made good by the registry.
 */
import type { Msg, Subscription } from "nats";
import type { Answer, BusFault, ClusterBus, ClusterEvent, Notice, Question } from "./bus.ts";
import { decodeEvent, encodeAnswer, encodeEvent } from "./envelope.ts";
import { assertName } from "./name.ts";
import { createNatsAsk } from "./nats-ask.ts";
import type { NatsLink } from "./nats-link.ts";
import { decodeNotice, encodeNotice } from "./notice.ts";
import { splitEvent } from "./split.ts";

export type {
  LinkPublishOptions,
  NatsLink,
  NatsLinkOptions,
  NatsStatus,
  NatsTls,
} from "./nats-link.ts";
export { connectNats } from "./nats-link.ts";

const PREFIX = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;
const CONFIRM_TIMEOUT_MS = 2_000;

/** Who opened the connection closes it; the subscriptions end with it. */
export function createNatsBus(options: {
  readonly connection: NatsLink;
  /** The first part of every subject; clusters that share NATS need one each. */
  readonly prefix?: string;
  readonly onFault: (fault: BusFault, error: unknown) => void;
  /**
   * Upstreams push to connections on a node's own subject. Those messages are handed on from here,
   * since a second subscription would bring each of them twice. MUST NOT throw.
   */
  readonly onPush?: (message: Msg) => void;
}): ClusterBus {
  const { connection, prefix = "hf", onFault, onPush = () => {} } = options;
  if (!PREFIX.test(prefix)) {
    throw new Error(`Cannot use subject prefix "${prefix}": it must match ${PREFIX.source}`);
  }

  const subjectOf = (node: string | "all") =>
    node === "all" ? `${prefix}.nodes` : `${prefix}.node.${node}`;
  const ask = createNatsAsk({ connection, subjectOf, onFault });
  return { publish, notify, ask, subscribe, listen, isConnected: connection.isConnected };

  function publish(node: string | "all", event: ClusterEvent): boolean {
    const messages = encoded(() => {
      if (node !== "all") assertName("node", node);
      return splitEvent(event).map(encodeEvent);
    });
    return messages?.every((message) => connection.publish(subjectOf(node), message)) ?? false;
  }

  function notify(notice: Notice): boolean {
    const messages = encoded(() => {
      assertName("tag", notice.tag);
      return [encodeNotice(notice)];
    });
    const subject = `${prefix}.event.${notice.kind}.${notice.tag}`;
    return messages?.every((message) => connection.publish(subject, message)) ?? false;
  }

  function encoded(encode: () => readonly Uint8Array[]): readonly Uint8Array[] | null {
    try {
      return encode();
    } catch (error) {
      onFault("publish", error);
      return null;
    }
  }

  async function subscribe(
    node: string,
    deliver: (event: ClusterEvent) => void,
    answer: (question: Question) => Omit<Answer, "node"> | null = () => null,
  ): Promise<() => Promise<void>> {
    assertName("node", node);
    return join([subjectOf(node), subjectOf("all")], decodeEvent, (event, { reply }) => {
      if (event.type !== "reach") {
        deliver(event);
        return;
      }
      const found = reply ? answer(event) : null;
      if (reply && found) connection.publish(reply, encodeAnswer({ node, ...found }));
    });
  }

  function listen(
    kind: Notice["kind"] | "*",
    deliver: (notice: Notice) => void,
  ): Promise<() => Promise<void>> {
    return join([`${prefix}.event.${kind}.*`], decodeNotice, deliver);
  }

  async function join<Message>(
    subjects: readonly string[],
    decode: (bytes: Uint8Array) => Message,
    deliver: (message: Message, raw: Msg) => void,
  ): Promise<() => Promise<void>> {
    const refusals: Error[] = [];
    const callback = (error: Error | null, message: Msg) => {
      if (error) {
        refusals.push(error);
        onFault("subscribe", error);
      } else if (isPush(message)) onPush(message);
      else receive(message, decode, deliver);
    };
    const what = subjects.join(" and ");
    if (!connection.isConnected()) {
      throw new Error(`Cannot subscribe to ${what}: NATS is not connected`);
    }
    const subscriptions = subjects.map((at) => connection.client.subscribe(at, { callback }));
    const isConfirmed = await connection.ping(CONFIRM_TIMEOUT_MS);
    if (isConfirmed && refusals.length === 0) return async () => leave(subscriptions);
    leave(subscriptions);
    const reason = refusals[0]?.message ?? `not confirmed within ${CONFIRM_TIMEOUT_MS} ms`;
    throw new Error(`Cannot subscribe to ${what}: ${reason}`);
  }

  /** MUST NOT throw: the library would stop reading, and the connection would be deaf. */
  function receive<Message>(
    message: Msg,
    decode: (bytes: Uint8Array) => Message,
    deliver: (message: Message, raw: Msg) => void,
  ): void {
    let fault: BusFault = "decode";
    try {
      const decoded = decode(message.data);
      fault = "deliver";
      deliver(decoded, message);
    } catch (error) {
      onFault(fault, error);
    }
  }
}

/** Told apart by their headers: what nodes say to each other has none. */
function isPush({ headers }: Msg): boolean {
  return headers !== undefined && (headers.has("Holdfast-Seat") || headers.has("Holdfast-Command"));
}

function leave(subscriptions: readonly Subscription[]): void {
  for (const subscription of subscriptions) {
    if (!subscription.isClosed()) subscription.unsubscribe();
  }
}
