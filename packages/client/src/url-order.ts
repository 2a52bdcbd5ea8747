/**
 * Which URL is next. Each is tried once before any is tried again, in an order that every client
 * draws for itself: the clients of a node that went away spread over all others, instead of
 * following each other to the next one of the same list.
 */
export interface UrlOrder {
  readonly url: string;
  /** The next one; where it was open until now, any of the others, whatever came before. */
  next(wasOpen: boolean): void;
}

/** With `first`: in the order of the list, from there. `urls` has one at least. */
export function createUrlOrder(options: {
  readonly urls: readonly string[];
  readonly first: number | null;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}): UrlOrder {
  const { urls, first, random } = options;
  let round = first === null ? shuffled(urls) : [...urls.slice(first), ...urls.slice(0, first)];
  let at = 0;

  return {
    get url() {
      return round[at]!; // within the round, which is as long as the list
    },
    next(wasOpen) {
      at++;
      const isOver = wasOpen || at === round.length;
      if (first === null && isOver)
        begin(round[at - 1]!); // was in bounds
      else at %= round.length;
    },
  };

  /** The one that was last is last again. */
  function begin(last: string): void {
    const others = urls.toSpliced(urls.indexOf(last), 1);
    round = [...shuffled(others), last];
    at = 0;
  }

  /** Fisher and Yates. */
  function shuffled(some: readonly string[]): string[] {
    const mixed = [...some];
    for (let left = mixed.length; left > 1; left--) {
      const drawn = Math.floor(random() * left);
      [mixed[left - 1], mixed[drawn]] = [mixed[drawn]!, mixed[left - 1]!]; // both in bounds
    }
    return mixed;
  }
}
