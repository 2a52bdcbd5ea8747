/**
 * One node's connection to the store, as a schedule moves it: calls run in the order in which they
 * were sent, but when they run, and whether their answers arrive, is decided from outside. A call
 * that its node has given up still runs.
 */
import type { Claim, Refusal, Seat, TakenSeat, Verdict } from "../../src/session.ts";

/** What a call asked, in words that are the same for every store. */
export type About =
  | {
      readonly kind: "login" | "resume";
      readonly tag: string;
      /** Hash of the token's secret, or of the session id's. */
      readonly presented: string;
      readonly sid: string;
      readonly secret: string; // hash of the one it shall have from now on
      readonly askedMs: number; // when its client asked
      readonly seat: Seat;
    }
  | { readonly kind: "renew" | "restore"; readonly asked: readonly Asked[] }
  | { readonly kind: "leave" | "end"; readonly sid: string; readonly seat: Seat | null }
  | { readonly kind: "reap"; readonly node: string; readonly diedAtMs: number };

export interface Asked {
  readonly sid: string;
  readonly seat: Seat;
  readonly generation: number;
  readonly proven: boolean;
}

/** What came of it; of a claim only what can be seen without knowing its secret. */
export type Seen =
  | Omit<Claim, "sessionId">
  | Refusal
  | readonly (Verdict | "absent" | null)[]
  | { readonly lapsed: readonly TakenSeat[] }
  | null;

export interface Ran {
  readonly reply: unknown;
  readonly seen: Seen;
}

export interface Message {
  readonly about: About;
  readonly sentMs: number;
  readonly run: () => Promise<Ran>;
  /** Null once nobody waits for the answer. */
  waiter: PromiseWithResolvers<unknown> | null;
}

export interface Link {
  /** Rejects when the schedule gives the call up. */
  send(about: About, run: () => Promise<Ran>): Promise<unknown>;
  readonly sent: Message[]; // not run yet
  readonly answered: { readonly message: Message; readonly reply: unknown }[]; // not heard yet
  /** The oldest call that is waited for is given up; null: there is none. */
  giveUp(olderThanMs?: number): Message | null;
  /** The connection is gone: nothing is heard of what is under way. Returns what may still run. */
  cut(isHeard: boolean): Message[];
}

export function createLink(now: () => number): Link {
  const sent: Message[] = [];
  const answered: { message: Message; reply: unknown }[] = [];

  return {
    sent,
    answered,
    send(about, run) {
      const waiter = Promise.withResolvers<unknown>();
      sent.push({ about, run, sentMs: now(), waiter });
      return waiter.promise;
    },
    giveUp(olderThanMs = Number.POSITIVE_INFINITY) {
      const message = unheard().find(
        ({ waiter, sentMs }) => waiter !== null && sentMs <= olderThanMs,
      );
      if (!message) return null;
      reject(message, "Command timed out");
      return message;
    },
    cut(isHeard) {
      for (const message of unheard()) {
        if (isHeard) reject(message, "Connection is closed.");
        message.waiter = null;
      }
      answered.length = 0;
      return sent.splice(0);
    },
  };

  function unheard(): Message[] {
    return [...answered.map(({ message }) => message), ...sent];
  }

  function reject(message: Message, words: string): void {
    message.waiter?.reject(new Error(words));
    message.waiter = null;
  }
}
