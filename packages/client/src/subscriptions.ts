/**
 * What an application wants to hear of for as long as it likes: a request that makes an upstream
 * push, and the pushes. What was joined ends with its connection, so the request is sent again
 * after every login, of a resumed session too.
 */
import type { Push } from "@holdfast/protocol";
import type { Alarms } from "./alarms.ts";
import { createBackoff } from "./backoff.ts";
import type { Answer, RequestOptions } from "./client-interface.ts";
import { isPassing } from "./errors.ts";
import type { Settings } from "./options.ts";

export interface SubscribeOptions extends RequestOptions {
  /** What to ask, so that pushes come. A function is called for each time it is asked. */
  readonly command: number;
  readonly body: Uint8Array | (() => Uint8Array);
  /** The commands of the pushes; the same as `command` if not given. */
  readonly push?: number | readonly number[];
  /** Whether a push of these commands is one of ours, such as by its symbol. Default: all are. */
  readonly filter?: (push: Push) => boolean;
  /** What to ask when nobody wants to hear of it any more. */
  readonly leave?: { readonly command: number; readonly body: Uint8Array };
  /** Gets each answer, such as the state that the pushes go on from. */
  readonly onAnswer?: (answer: Answer) => void;
  /** Gets what was refused for good; it is asked again after the next login only. */
  readonly onError?: (error: unknown) => void;
}

export interface Subscriptions {
  add(options: SubscribeOptions, handler: (push: Push) => void): () => void;
  /** After each login. */
  askAll(): void;
}

interface Subscription {
  readonly options: SubscribeOptions;
  /** Ends what is asked, or waits to be asked. */
  turn: AbortController;
  isOver: boolean;
}

export function createSubscriptions(options: {
  readonly request: (command: number, body: Uint8Array, asked: RequestOptions) => Promise<Answer>;
  readonly onPush: (command: number | "*", handler: (push: Push) => void) => () => void;
  readonly isOpen: () => boolean;
  readonly alarms: Alarms;
  readonly settings: Pick<Settings, "backoff" | "random">;
  readonly report: (error: unknown) => void;
}): Subscriptions {
  const { request, onPush, isOpen, alarms, report } = options;
  const subscriptions = new Set<Subscription>();

  return {
    add,
    askAll() {
      for (const subscription of [...subscriptions]) begin(subscription);
    },
  };

  function add(asked: SubscribeOptions, handler: (push: Push) => void): () => void {
    asked.signal?.throwIfAborted();
    const { push = asked.command, filter } = asked;
    const commands = typeof push === "number" ? [push] : push;
    const hear = (one: Push) => {
      if (filter === undefined || filter(one)) handler(one);
    };
    const stops = commands.map((command) => onPush(command, hear));
    const subscription = { options: asked, turn: new AbortController(), isOver: false };
    subscriptions.add(subscription);
    asked.signal?.addEventListener("abort", unsubscribe);
    if (isOpen()) begin(subscription);
    return unsubscribe;

    function unsubscribe(): void {
      if (!subscriptions.delete(subscription)) return;
      subscription.isOver = true;
      subscription.turn.abort();
      asked.signal?.removeEventListener("abort", unsubscribe);
      for (const stop of stops) stop();
      // Without a connection there is nothing to leave.
      if (asked.leave === undefined || !isOpen()) return;
      request(asked.leave.command, asked.leave.body, {}).catch(report);
    }
  }

  function begin(subscription: Subscription): void {
    subscription.turn.abort(); // that of the connection before
    subscription.turn = new AbortController();
    void ask(subscription, subscription.turn.signal); // never rejects
  }

  /** Until it is answered, refused for good, or overtaken by a newer login or the end. */
  async function ask(subscription: Subscription, signal: AbortSignal): Promise<void> {
    const { signal: _, ...asked } = subscription.options;
    const backoff = createBackoff({ ...options.settings.backoff, random: options.settings.random });
    while (!signal.aborted && isOpen()) {
      try {
        const body = typeof asked.body === "function" ? asked.body() : asked.body;
        const answer = await request(asked.command, body, { ...asked, signal });
        tell(() => asked.onAnswer?.(answer));
        return;
      } catch (error) {
        if (signal.aborted || !isOpen()) return; // the next login asks again
        if (!isPassing(error)) {
          tell(() => (asked.onError ?? report)(error));
          return;
        }
      }
      await pause(backoff.next(), signal);
    }
  }

  function tell(act: () => void): void {
    try {
      act();
    } catch (error) {
      report(error);
    }
  }

  function pause(delayMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        cancel();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const cancel = alarms.after(delayMs, done);
      signal.addEventListener("abort", done);
    });
  }
}
