/** What was done to a lab, and when: each fault, and its end, is written down as it is injected. */

export interface Entry {
  /** Monotonic. */
  readonly atMs: number;
  /** Whom, and what: "edge-2: SIGKILL". */
  readonly what: string;
}

export interface Diary {
  readonly entries: readonly Entry[];
  note(what: string): void;
  /** The same object, but each call of these is noted. */
  noting<T extends object>(who: string, target: T, calls: readonly (keyof T & string)[]): T;
}

/** A scenario that does something all the time is not told by all of it. */
const entriesMax = 2_000;

export function createDiary(): Diary {
  const entries: Entry[] = [];
  const note = (what: string) => {
    if (entries.length < entriesMax) entries.push({ atMs: performance.now(), what });
  };
  return { entries, note, noting };

  function noting<T extends object>(
    who: string,
    target: T,
    calls: readonly (keyof T & string)[],
  ): T {
    return new Proxy(target, {
      get(of, key) {
        const value: unknown = Reflect.get(of, key);
        const call = calls.find((name) => name === key);
        if (call === undefined || typeof value !== "function") return value;
        return (...given: unknown[]) => {
          note(`${who}: ${inWords(call, given)}`);
          return value.apply(of, given);
        };
      },
    });
  }
}

/** A signal is told by its name. */
function inWords(call: string, [first]: readonly unknown[]): string {
  if (call === "signal") return String(first);
  return typeof first === "string" || typeof first === "number" ? `${call} ${first}` : call;
}
