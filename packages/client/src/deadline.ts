/** A wait that cannot last for ever, and says what it waited for. For tests and the wire. */

/** Waited too long; the message says for what, and what was there instead. */
export class DeadlineError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "DeadlineError";
  }
}

export const deadlineDefaultMs = 5_000;

/** Settles as `promise` does, or rejects with what `describe` says after `deadlineMs`. */
export async function within<T>(
  promise: Promise<T>,
  deadlineMs: number,
  describe: () => string,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new DeadlineError(`Waited ${deadlineMs} ms for ${describe()}`)),
      deadlineMs,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
