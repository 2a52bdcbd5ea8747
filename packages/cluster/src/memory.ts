/**
 * The bus inside one process, for tests and for the embedded cluster. Like the real one it is never
 * in a hurry: what is published arrives in a later turn of the event loop, in the order in which it
 * was published.
 */
import type {
  Answer,
  AskOptions,
  BusFault,
  ClusterBus,
  ClusterEvent,
  Notice,
  Question,
} from "./bus.ts";
import { assertName } from "./name.ts";
import { splitEvent } from "./split.ts";

export interface MemoryBus extends ClusterBus {
  /** Ends this node's subscriptions; from now on it publishes nothing. May be called twice. */
  close(): Promise<void>;
}

/** What the nodes of one process share in the place of a server. */
export interface MemoryHub {
  /** One for each node; closing one leaves the others alone. */
  bus(): MemoryBus;
}

export interface MemoryHubOptions {
  /** True: the message is lost on the way, and nobody is told. For tests of a lossy bus. */
  readonly drop?: (message: ClusterEvent | Notice) => boolean;
  /** True: questions to this node, or to "all", are lost. */
  readonly isDeaf?: (node: string | "all") => boolean;
  readonly onFault?: (fault: BusFault, error: unknown) => void;
  /** Messages that may wait for the next turn; more are refused. */
  readonly queueMax?: number;
}

interface Subscriber {
  /** True for what is meant for this subscriber; compared with `Message.to`. */
  readonly wants: (to: string) => boolean;
  readonly deliver: (message: ClusterEvent | Notice | Asking) => void;
}

/** A question under way, and where its answers go. */
interface Asking {
  readonly question: Question;
  readonly reply: (answer: Answer) => void;
}

interface Message {
  readonly to: string; // "node:<node>", "nodes" or "event:<kind>"
  readonly message: ClusterEvent | Notice | Asking;
}

const QUEUE_MAX = 65_536;

export function createMemoryHub(options: MemoryHubOptions = {}): MemoryHub {
  const { drop = () => false, onFault = () => {}, queueMax = QUEUE_MAX } = options;
  const { isDeaf = () => false } = options;
  const subscribers = new Set<Subscriber>();
  let queue: Message[] = []; // not empty: a delivery is under way

  return { bus: () => createBus({ send, add, isDeaf, onFault }) };

  function send(messages: readonly Message[]): boolean {
    if (queue.length + messages.length > queueMax) {
      onFault("publish", new Error(`Cannot queue more than ${queueMax} messages`));
      return false;
    }
    if (queue.length === 0 && messages.length > 0) setImmediate(deliverAll);
    queue.push(...messages);
    return true;
  }

  function deliverAll(): void {
    const due = queue;
    queue = []; // what is published from now on waits for the next turn
    for (const { to, message } of due) {
      if ("question" in message || !drop(message)) deliver(to, message);
    }
  }

  function deliver(to: string, message: Message["message"]): void {
    for (const subscriber of subscribers) {
      if (!subscriber.wants(to)) continue;
      try {
        subscriber.deliver(message);
      } catch (error) {
        onFault("deliver", error);
      }
    }
  }

  function add(subscriber: Subscriber): () => void {
    subscribers.add(subscriber);
    return () => void subscribers.delete(subscriber);
  }
}

/** One bus for a process with one node, or for several that never leave one by one. */
export function createMemoryBus(options: MemoryHubOptions = {}): MemoryBus {
  return createMemoryHub(options).bus();
}

function createBus(hub: {
  readonly send: (messages: readonly Message[]) => boolean;
  readonly add: (subscriber: Subscriber) => () => void;
  readonly isDeaf: (node: string | "all") => boolean;
  readonly onFault: (fault: BusFault, error: unknown) => void;
}): MemoryBus {
  const removals = new Set<() => void>();
  let isClosed = false;

  return { publish, notify, ask, subscribe, listen, isConnected: () => !isClosed, close };

  function publish(node: string | "all", event: ClusterEvent): boolean {
    return attempt(() => {
      const to = placeOf(node);
      return splitEvent(event).map((message) => ({ to, message }));
    });
  }

  async function ask(
    node: string | "all",
    question: Question,
    { timeoutMs, answersMax = node === "all" ? Number.POSITIVE_INFINITY : 1 }: AskOptions,
  ): Promise<readonly Answer[]> {
    const answers: Answer[] = [];
    const { promise: done, resolve: finish } = Promise.withResolvers<void>();
    const reply = (answer: Answer): void => {
      answers.push(answer);
      if (answers.length >= answersMax) finish();
    };
    if (isClosed) return answers;
    const isSent = attempt(() => {
      const to = placeOf(node);
      return hub.isDeaf(node) ? [] : [{ to, message: { question, reply } }];
    });
    if (!isSent) return answers;
    const timer = setTimeout(finish, timeoutMs);
    await done;
    clearTimeout(timer);
    return [...answers]; // what comes later comes too late
  }

  function notify(notice: Notice): boolean {
    return attempt(() => {
      assertName("tag", notice.tag);
      return [{ to: `event:${notice.kind}`, message: { ...notice } }];
    });
  }

  function attempt(messages: () => readonly Message[]): boolean {
    try {
      if (isClosed) throw new Error("Cannot publish: this bus is closed");
      return hub.send(messages());
    } catch (error) {
      hub.onFault("publish", error);
      return false;
    }
  }

  async function subscribe(
    node: string,
    deliver: (event: ClusterEvent) => void,
    answer: (question: Question) => Omit<Answer, "node"> | null = () => null,
  ): Promise<() => Promise<void>> {
    assertName("node", node);
    return join({
      wants: (to) => to === "nodes" || to === `node:${node}`,
      deliver: (message) => {
        if ("type" in message) deliver(message);
        if (!("question" in message)) return;
        const found = answer(message.question);
        if (found) setImmediate(message.reply, { node, ...found });
      },
    });
  }

  async function listen(
    kind: Notice["kind"] | "*",
    deliver: (notice: Notice) => void,
  ): Promise<() => Promise<void>> {
    return join({
      wants: (to) => (kind === "*" ? to.startsWith("event:") : to === `event:${kind}`),
      deliver: (message) => {
        if ("kind" in message) deliver(message);
      },
    });
  }

  function join(subscriber: Subscriber): () => Promise<void> {
    if (isClosed) throw new Error("Cannot subscribe: this bus is closed");
    const remove = hub.add(subscriber);
    removals.add(remove);
    return async () => {
      removals.delete(remove);
      remove();
    };
  }

  async function close(): Promise<void> {
    isClosed = true;
    for (const remove of removals) remove();
    removals.clear();
  }
}

function placeOf(node: string | "all"): string {
  if (node === "all") return "nodes";
  assertName("node", node);
  return `node:${node}`;
}
