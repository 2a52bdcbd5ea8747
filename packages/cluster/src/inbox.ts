/** For tests: waiting for messages, and for failures, with a deadline. */

/** What a subscriber has received, and a way to wait for more. */
export interface Inbox<Message> {
  readonly received: readonly Message[];
  deliver(message: Message): void;
  /** Resolves with all that was received once there are `count`; rejects at the deadline. */
  take(count: number, timeoutMs?: number): Promise<readonly Message[]>;
}

export function createInbox<Message>(): Inbox<Message> {
  const received: Message[] = [];
  const waiting = new Set<() => void>();

  return { received, deliver, take };

  function deliver(message: Message): void {
    received.push(message);
    for (const look of [...waiting]) look();
  }

  async function take(count: number, timeoutMs = 5000): Promise<readonly Message[]> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const late = () => reject(new Error(`Received ${received.length} of ${count} in time`));
    const timer = setTimeout(late, timeoutMs);
    const look = () => {
      if (received.length >= count) resolve();
    };
    waiting.add(look);
    look();
    try {
      await promise;
      return received;
    } finally {
      clearTimeout(timer);
      waiting.delete(look);
    }
  }
}

/**
 * The message a promise fails with. `expect(...).rejects` waits within the call, without letting
 * the event loop turn as usual: with sockets about, it may wait for ever (oven-sh/bun#14950).
 */
export async function failure(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof Error ? error.message : `Did not fail, or with ${String(error)}`;
}
