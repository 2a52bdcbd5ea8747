/**
 * Calls that wait for an answer, found by the number that each is given: a plain array, since a map
 * that much goes in and out of is made anew all the time.
 */
import type { UpstreamCall } from "./upstream.ts";

export interface WaitingCalls {
  /** Gives it a number that was never given before. */
  add(call: UpstreamCall): number;
  /** Null: there is none of that number, or it has been taken. */
  take(number: number): UpstreamCall | null;
  /** It may have been taken since, or passed by. */
  wasGiven(number: number): boolean;
  all(): UpstreamCall[];
  readonly size: number;
}

const slotsMin = 64;

export function createWaitingCalls(): WaitingCalls {
  /** A power of two, twice as many as there are calls; each is at its number's remainder. */
  let slots: (UpstreamCall | null)[] = new Array(slotsMin).fill(null);
  let last = 0;
  let size = 0;

  return {
    add,
    take,
    wasGiven: (number) => number > 0 && number <= last,
    all,
    get size() {
      return size;
    },
  };

  function add(call: UpstreamCall): number {
    if (2 * size >= slots.length) grow();
    // One that waits for long is passed by.
    do last++;
    while (slots[last & (slots.length - 1)] !== null);
    call.number = last;
    slots[last & (slots.length - 1)] = call;
    size++;
    return last;
  }

  function take(number: number): UpstreamCall | null {
    const slot = number & (slots.length - 1);
    const call = slots[slot] ?? null;
    if (call === null || call.number !== number) return null;
    slots[slot] = null;
    size--;
    return call;
  }

  function all(): UpstreamCall[] {
    return slots.filter((call) => call !== null);
  }

  function grow(): void {
    const calls = all();
    slots = new Array(2 * slots.length).fill(null);
    for (const call of calls) slots[call.number & (slots.length - 1)] = call;
  }
}
