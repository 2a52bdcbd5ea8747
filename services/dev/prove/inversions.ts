/**
 * Proves from what a backend did and what its clients know that nothing of a connection took effect
 * behind a request of a newer one. Which one is newer is told by when their logins were asked and
 * answered, and not by generations: those are what is to be proven.
 */
import type { View } from "./recorder.ts";

/** What became of one request, of the connection that sent it. */
export interface Decision {
  readonly view: Pick<View, "account" | "sid" | "limit" | "askedMs" | "answeredMs">;
  readonly isAccepted: boolean;
}

export interface Fencing {
  readonly accepted: number;
  readonly refused: number;
  /** Accepted behind a request of a connection that is newer for sure. */
  readonly inverted: number;
  /** Refused although nothing had been accepted that may be newer. */
  readonly wronged: number;
}

/** Of what has been accepted so far, in one session or in one account with a limit of one. */
interface Past {
  /** When the login of the newest was asked for: who was answered before that is older. */
  askedMs: number;
  /** When the last of their logins was answered: who asked after that is newer than all. */
  answeredMs: number;
}

/** `decisions`: in the order in which they were made. */
export function judge(decisions: readonly Decision[]): Fencing {
  const pasts = new Map<string, Past>();
  const found = { accepted: 0, refused: 0, inverted: 0, wronged: 0 };
  for (const { view, isAccepted } of decisions) {
    const { account, sid, limit, askedMs, answeredMs } = view;
    const keys = [`session ${sid}`, ...(limit === 1 ? [`account ${account}`] : [])];
    const known = keys.flatMap((key) => pasts.get(key) ?? []);
    if (!isAccepted) {
      found.refused++;
      if (known.every((past) => past.answeredMs < askedMs)) found.wronged++;
      continue;
    }
    found.accepted++;
    const [asked, answered] = [askedMs, answeredMs ?? Number.POSITIVE_INFINITY];
    if (known.some((past) => answered < past.askedMs)) found.inverted++;
    for (const key of keys) {
      const past = pasts.get(key) ?? { askedMs: asked, answeredMs: answered };
      past.askedMs = Math.max(past.askedMs, asked);
      past.answeredMs = Math.max(past.answeredMs, answered);
      pasts.set(key, past);
    }
  }
  return found;
}
