/**
 * Pushes to seats, accounts and topics, and membership of topics. `push` asks for the outcome,
 * `send` does not wait; what cannot leave at once is refused by both, and never kept for later.
 */
import {
  headers as createHeaders,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  RequestStrategy,
} from "nats";
import { parseSeat, writeForm, writeText, writeTopics } from "./headers.ts";

export interface Push {
  readonly command: number; // 4 to 255
  readonly body?: Uint8Array;
  /** Clients of version 2 only. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** On a topic that conflates, the newest of each key is kept. */
  readonly key?: string;
}

/** The best of what happened, and how often each did. */
export interface PushResult {
  readonly outcome: "written" | "slow" | "draining" | "no-connection";
  readonly written: number;
  readonly slow: number;
  readonly draining: number;
  readonly noConnection: number;
}

/** The worst of what happened. "left" is also for who was no member. */
export interface TopicsResult {
  readonly outcome: "joined" | "left" | "limit" | "no-connection";
  readonly joined: number;
  readonly left: number;
  readonly limit: number;
  readonly noConnection: number;
}

/** Rejected by the edge, or nobody knows: not connected, no answer in time. */
export class PushError extends Error {
  readonly reason: "refused" | "timeout" | "disconnected";

  constructor(reason: PushError["reason"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "PushError";
    this.reason = reason;
  }
}

export interface Pushing {
  /** Each resolves with the outcome, or rejects with PushError. */
  readonly push: {
    toSeat(seat: string, push: Push): Promise<PushResult>;
    /** Wherever it is connected. Two of these may overtake each other. */
    toAccount(account: string, push: Push): Promise<PushResult>;
    /** Sums up what the edges with members say within the time: for tests and rare news. */
    toTopic(topic: string, push: Push): Promise<PushResult>;
  };
  /** Nobody waits and nobody answers. False: not connected, so it was not sent. */
  readonly send: {
    toSeat(seat: string, push: Push): boolean;
    toAccount(account: string, push: Push): boolean;
    toTopic(topic: string, push: Push): boolean;
  };
  readonly topics: {
    join(seat: string, topics: readonly string[]): Promise<TopicsResult>;
    leave(seat: string, topics: readonly string[]): Promise<TopicsResult>;
  };
}

interface Order {
  readonly subject: string;
  readonly body: Uint8Array;
  readonly headers: MsgHdrs;
}

const timeoutMs = 2_500; // an edge has 1 s for the registry and 1 s for other nodes
const topicWaitMs = 500; // nobody knows how many edges will answer
const nothing = new Uint8Array(0);

export function createPushing(options: {
  readonly client: NatsConnection;
  readonly prefix: string;
  readonly isConnected: () => boolean;
}): Pushing {
  const { client, prefix, isConnected } = options;

  return {
    push: {
      toSeat: async (seat, push) => pushResult(await ask(toSeat(seat, push))),
      toAccount: async (account, push) => pushResult(await ask(toAccount(account, push))),
      toTopic: async (topic, push) => pushResult(await askAll(toTopic(topic, push))),
    },
    send: {
      toSeat: (seat, push) => send(toSeat(seat, push)),
      toAccount: (account, push) => send(toAccount(account, push)),
      toTopic: (topic, push) => send(toTopic(topic, push)),
    },
    topics: {
      join: async (seat, topics) => topicsResult(await ask(change("Join", seat, topics))),
      leave: async (seat, topics) => topicsResult(await ask(change("Leave", seat, topics))),
    },
  };

  function toSeat(seat: string, push: Push): Order {
    const { node } = parseSeat(seat);
    return orderOf(`${prefix}.node.${node}`, push, ["Holdfast-Seat", seat]);
  }

  function toAccount(account: string, push: Push): Order {
    return orderOf(`${prefix}.push`, push, ["Holdfast-Account", writeText(account)]);
  }

  function toTopic(topic: string, push: Push): Order {
    return orderOf(`${prefix}.topic.${writeTopics([topic])}`, push);
  }

  function change(what: "Join" | "Leave", seat: string, topics: readonly string[]): Order {
    const headers = createHeaders();
    headers.set("Holdfast-Seat", seat);
    headers.set(`Holdfast-${what}`, writeTopics(topics));
    return { subject: `${prefix}.node.${parseSeat(seat).node}`, body: nothing, headers };
  }

  function send({ subject, body, headers }: Order): boolean {
    if (!isConnected()) return false; // the library would keep it, and send it who knows when
    client.publish(subject, body, { headers });
    return true;
  }

  async function ask({ subject, body, headers }: Order): Promise<readonly Msg[]> {
    checkConnection(subject);
    try {
      return [await client.request(subject, body, { headers, timeout: timeoutMs })];
    } catch (error) {
      return silence(subject, error);
    }
  }

  /** Resolves once the answers have stopped coming, or at the deadline. */
  async function askAll({ subject, body, headers }: Order): Promise<readonly Msg[]> {
    checkConnection(subject);
    const answers: Msg[] = [];
    try {
      const strategy = RequestStrategy.JitterTimer;
      const asking = { headers, strategy, maxWait: topicWaitMs, jitter: topicWaitMs / 5 };
      for await (const one of await client.requestMany(subject, body, asking)) answers.push(one);
      return answers;
    } catch (error) {
      return silence(subject, error);
    }
  }

  function checkConnection(subject: string): void {
    if (isConnected()) return;
    throw new PushError("disconnected", `Cannot push to ${subject}: NATS is not connected`);
  }
}

function orderOf(subject: string, push: Push, address?: readonly [string, string]): Order {
  const { command, body = nothing, metadata, key } = push;
  if (!Number.isInteger(command) || command < 4 || command > 255) {
    throw new RangeError(`Cannot push command ${command}: it must be 4 to 255`);
  }
  const headers = createHeaders();
  if (address) headers.set(...address);
  headers.set("Holdfast-Command", String(command));
  if (metadata) headers.set("Holdfast-Metadata", writeForm(metadata));
  if (key !== undefined) headers.set("Holdfast-Key", writeText(key));
  return { subject, body, headers };
}

/** That nobody listens is an outcome; that nobody answered is not known to be one. */
function silence(subject: string, error: unknown): readonly Msg[] {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "503") return [];
  if (code === "TIMEOUT") {
    throw new PushError("timeout", `Pushed to ${subject}, and nobody answered in time`);
  }
  throw new PushError("refused", `Cannot push to ${subject}: ${String(error)}`, { cause: error });
}

const bestFirst = ["written", "slow", "draining", "no-connection"] as const;

function pushResult(answers: readonly Msg[]): PushResult {
  const counts = bestFirst.map((outcome) => sumOf(answers, outcome));
  const [written = 0, slow = 0, draining = 0, noConnection = 0] = counts;
  const best = bestFirst.find((_, index) => counts[index]! > 0); // one count for each
  return { outcome: best ?? "no-connection", written, slow, draining, noConnection };
}

function topicsResult(answers: readonly Msg[]): TopicsResult {
  const words = ["joined", "left", "limit", "no-connection"] as const;
  const [joined = 0, left = 0, limit = 0, noConnection = 0] = words.map((word) =>
    sumOf(answers, word),
  );
  const said = answers[0]?.headers?.get("Holdfast-Outcome");
  const outcome = words.find((word) => word === said) ?? "no-connection";
  return { outcome, joined, left, limit, noConnection };
}

function sumOf(answers: readonly Msg[], outcome: string): number {
  let sum = 0;
  for (const answer of answers) {
    const error = answer.headers?.get("Holdfast-Error");
    if (error) throw new PushError("refused", `The edge refused a push: ${error}`);
    const fields = new Map<string, unknown>(Object.entries(answer.json() ?? {}));
    sum += Number(fields.get(outcome) ?? 0);
  }
  return sum;
}
