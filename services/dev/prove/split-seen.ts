/** What was seen of splits, and what is promised of it. */
import { spread } from "./figures.ts";
import type { Trial } from "./scenario.ts";

const promise = 1;
export const putInOrderMs = 12_000;
export const beyondLeaseMs = 5_000;
const refusedMs = 4_000; // some 2.5 s, as a rule; whole seconds of Redis make it more

export interface Seen {
  /** From the cut: the old primary takes no more writes. */
  readonly refusedMs: number;
  /** Logins that the lonely node accepted after that. */
  readonly acceptedAfter: number;
  /** From the promotion: one connection for each account of the other side. */
  readonly orderedMs: number;
  /** From the cut: the lonely node has closed its seats. Null where the split was shorter. */
  readonly closedMs: number | null;
  /** Told another reason for that. */
  readonly mistold: number;
  /** From the demotion of the old primary: one connection for each account, everywhere. */
  readonly settledMs: number;
  readonly demotedMs: number;
  readonly guests: number;
  /** Left without a connection. */
  readonly bereft: number;
  /** Whose survivor was not the one it had to be. */
  readonly wrong: readonly string[];
}

type TimeOf = "refusedMs" | "orderedMs" | "closedMs" | "demotedMs" | "settledMs";

export function tell(trial: Trial, seen: readonly Seen[], leaseMs: number): void {
  const slowest = (what: string, valuesMs: readonly number[], atMost?: number) => {
    const bound = atMost === undefined ? {} : { atMost };
    const note = `${spread(valuesMs)} splits`;
    trial.measure({ promise, what, measured: Math.max(...valuesMs), unit: "ms", note, ...bound });
  };
  const none = (what: string, measured: number, note: string) =>
    trial.measure({ promise, what, exactly: 0, measured, note });
  const splits = `${seen.length} splits`;
  const wrong = seen.flatMap((one) => one.wrong);
  for (const words of wrong.slice(0, 5)) trial.log(words);

  slowest("cut -> the old primary takes no write", times("refusedMs"), refusedMs);
  none("logins let in by its node after that", sum("acceptedAfter"), splits);
  const ordered = "replica promoted -> on its side one connection an account, and its seat";
  slowest(ordered, times("orderedMs"), putInOrderMs);
  const last = "cut -> the old primary's node has closed its last seat";
  slowest(last, times("closedMs"), leaseMs + beyondLeaseMs);
  none("told another reason than ServerShutdown for it", sum("mistold"), splits);
  slowest("whole again -> the old primary is demoted", times("demotedMs"));
  const settled = "old primary demoted -> one connection an account, and its seat";
  slowest(settled, times("settledMs"), putInOrderMs);
  const who = "accounts whose survivor was not the newest login that counts";
  none(who, wrong.length, `${sum("guests")} accounts`);
  const bereft = "accounts left with none: logins that the old primary let in, and the news spread";
  trial.measure({ promise, what: bereft, measured: sum("bereft") });

  function times(name: TimeOf) {
    return seen.flatMap((one) => one[name] ?? []);
  }

  function sum(name: "acceptedAfter" | "mistold" | "guests" | "bereft"): number {
    return seen.reduce((all, one) => all + one[name], 0);
  }
}
