/** A node may hold a session twice: the older connection was taken over, and nobody told it so. */
import type { Holding, Verdict } from "./session.ts";

/**
 * Where a renewal has put both back, in whatever order, the store has the later one: the other was
 * taken over. Changes `verdicts`, one for each holding.
 */
export function keepLatest(holdings: readonly Holding[], verdicts: (Verdict | null)[]): void {
  const latest = new Map<string, number>(); // places by session
  for (const [at, { session }] of holdings.entries()) {
    if (verdicts[at] !== "held") continue;
    const before = latest.get(session.sid);
    const known = before === undefined ? undefined : holdings[before]?.session.generation;
    if (before !== undefined && known !== undefined) {
      if (session.generation < known) verdicts[at] = "takenOver";
      if (session.generation > known) verdicts[before] = "takenOver";
      if (session.generation <= known) continue;
    }
    latest.set(session.sid, at);
  }
}
