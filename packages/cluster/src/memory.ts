/**
 * The bus inside one process, for tests and for the embedded cluster. Like the real one it is never
 * in a hurry: what is published arrives in a later turn of the event loop, in the order in which it
 * was published.
 */
import type { BusFault, ClusterBus, ClusterEvent, Notice } from "./bus.ts";
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
  readonly onFault?: (fault: BusFault, error: unknown) => void;
  /** Messages that may wait for the next turn; more are refused. */
  readonly queueMax?: number;
}

interface Subscriber {
  /** True for what is meant for this subscriber; compared with `Message.to`. */
  readonly wants: (to: string) => boolean;
  readonly deliver: (message: ClusterEvent | Notice) => void;
}

interface Message {
  readonly to: string; // "node:<node>", "nodes" or "event:<kind>"
  readonly message: ClusterEvent | Notice;
}

const QUEUE_MAX = 65_536;

export function createMemoryHub(options: MemoryHubOptions = {}): MemoryHub {
  const { drop = () => false, onFault = () => {}, queueMax = QUEUE_MAX } = options;
  const subscribers = new Set<Subscriber>();
  let queue: Message[] = []; // not empty: a delivery is under way

  return { bus: () => createBus({ send, add, onFault }) };

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
      if (!drop(message)) deliver(to, message);
    }
  }

  function deliver(to: string, message: ClusterEvent | Notice): void {
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
  readonly onFault: (fault: BusFault, error: unknown) => void;
}): MemoryBus {
  const removals = new Set<() => void>();
  let isClosed = false;

  return { publish, notify, subscribe, listen, isConnected: () => !isClosed, close };

  function publish(node: string | "all", event: ClusterEvent): boolean {
    return attempt(() => {
      if (node !== "all") assertName("node", node);
      const to = node === "all" ? "nodes" : `node:${node}`;
      return splitEvent(event).map((message) => ({ to, message }));
    });
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
  ): Promise<() => Promise<void>> {
    assertName("node", node);
    return join({
      wants: (to) => to === "nodes" || to === `node:${node}`,
      deliver: (message) => {
        if ("type" in message) deliver(message);
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
