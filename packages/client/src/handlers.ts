/** Who wants to hear of what. A handler that throws harms neither the others nor the teller. */
export interface Handlers<Events> {
  /** Returns what takes the handler away again. */
  on<Name extends keyof Events>(name: Name, handler: (value: Events[Name]) => void): () => void;
  tell<Name extends keyof Events>(name: Name, value: Events[Name]): void;
  /** What a handler threw. */
  report(error: unknown): void;
}

export function createHandlers<Events>(
  onError: ((error: unknown) => void) | undefined,
): Handlers<Events> {
  const byName = new Map<keyof Events, Set<(value: never) => void>>();

  return {
    on(name, handler) {
      const handlers = byName.get(name) ?? new Set();
      byName.set(name, handlers);
      // Of its own, so that a function given twice is called twice, and taken away once.
      const own = (value: never) => handler(value);
      handlers.add(own);
      return () => void handlers.delete(own);
    },
    tell(name, value) {
      for (const handler of [...(byName.get(name) ?? [])]) {
        try {
          handler(value as never); // what was put in under this name takes its values
        } catch (error) {
          report(error);
        }
      }
    },
    report,
  };

  function report(error: unknown): void {
    if (onError !== undefined) onError(error);
    else {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
