/**
 * Values that arrive before or after someone asks for them: first in, first out.
 * Every ask has a deadline; once the source has failed, asks beyond what is left reject at once.
 */
import { DeadlineError } from "./deadline.ts";

export interface Mailbox<T> {
  put(value: T): void;
  /** Says `what` was waited for when nothing comes in time. */
  take(what: string, deadlineMs: number): Promise<T>;
  /** No more values will come. The first reason stays. */
  fail(reason: string): void;
  readonly values: readonly T[];
}

interface Ask<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
  readonly timer: ReturnType<typeof setTimeout>;
  readonly what: string;
}

export function createMailbox<T>(options: {
  readonly sizeMax: number;
  /** What arrived instead, for the message of a deadline. */
  readonly describeArrivals: () => string;
}): Mailbox<T> {
  const values: T[] = [];
  let asks: Ask<T>[] = []; // not empty only while values is empty
  let failure: string | null = null;

  return { put, take, fail, values };

  function put(value: T): void {
    const ask = asks.shift();
    if (ask !== undefined) {
      clearTimeout(ask.timer);
      ask.resolve(value);
    } else if (values.length < options.sizeMax) values.push(value);
    else fail(`more than ${options.sizeMax} arrived and were not taken`);
  }

  function take(what: string, deadlineMs: number): Promise<T> {
    const value = values.shift();
    if (value !== undefined) return Promise.resolve(value);
    if (failure !== null) return Promise.reject(failed(what, failure));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        asks = asks.filter((other) => other !== ask);
        const instead = options.describeArrivals();
        reject(new DeadlineError(`Waited ${deadlineMs} ms for ${what}; ${instead}`));
      }, deadlineMs);
      const ask: Ask<T> = { resolve, reject, timer, what };
      asks.push(ask);
    });
  }

  function fail(reason: string): void {
    failure ??= reason;
    for (const ask of asks) {
      clearTimeout(ask.timer);
      ask.reject(failed(ask.what, reason));
    }
    asks = [];
  }

  function failed(what: string, reason: string): Error {
    return new Error(`Waited for ${what}, but ${reason}; ${options.describeArrivals()}`);
  }
}
