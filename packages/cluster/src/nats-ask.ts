/**
 * Questions over NATS: an inbox for each, since they are rare, and gone with the last answer that
 * is waited for. A node that nobody hears of is told by NATS at once: then there is no answer.
 */
import { createInbox, type Msg } from "nats";
import type { Answer, AskOptions, BusFault, ClusterBus, Question } from "./bus.ts";
import { decodeAnswer, encodeEvent } from "./envelope.ts";
import { assertName } from "./name.ts";
import type { NatsLink } from "./nats-link.ts";

export function createNatsAsk(options: {
  readonly connection: NatsLink;
  readonly subjectOf: (node: string | "all") => string;
  readonly onFault: (fault: BusFault, error: unknown) => void;
}): ClusterBus["ask"] {
  const { connection, subjectOf, onFault } = options;

  return async function ask(node, question, bounds) {
    if (!connection.isConnected()) return [];
    try {
      if (node !== "all") assertName("node", node);
      return await gather(node, question, bounds);
    } catch (error) {
      onFault("publish", error);
      return [];
    }
  };

  async function gather(
    node: string | "all",
    question: Question,
    { timeoutMs, answersMax = node === "all" ? Number.POSITIVE_INFINITY : 1 }: AskOptions,
  ): Promise<readonly Answer[]> {
    const answers: Answer[] = [];
    const { promise: done, resolve: finish } = Promise.withResolvers<void>();
    const inbox = createInbox();
    // MUST NOT throw: the library would stop reading, and the connection would be deaf.
    const callback = (error: Error | null, message: Msg) => {
      if (error) onFault("subscribe", error);
      if (error || isNoResponders(message)) return finish();
      try {
        answers.push(decodeAnswer(message.data));
      } catch (failure) {
        onFault("decode", failure);
      }
      if (answers.length >= answersMax) finish();
    };
    const subscription = connection.client.subscribe(inbox, { callback });
    const timer = setTimeout(finish, timeoutMs);
    try {
      const isSent = connection.publish(subjectOf(node), encodeEvent(question), { reply: inbox });
      if (isSent) await done;
    } finally {
      clearTimeout(timer);
      if (!subscription.isClosed()) subscription.unsubscribe();
    }
    return answers;
  }
}

function isNoResponders({ headers, data }: Msg): boolean {
  return headers?.code === 503 && data.length === 0;
}
