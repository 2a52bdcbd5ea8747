/** A node may hold a session twice: the older connection was taken over, and nobody told it so. */
import type { Holding, Verdict } from "./session.ts";

/**
 * Where a renewal has put both back, in whatever order, the store has the later one: the other was
 * taken over. Changes `verdicts`, one for each holding.
 */
export function keepLatest(holdings: readonly Holding[], verdicts: (Verdict | null)[]): void {
  const latest = new Map<string, number>(); // generations by session
  for (const [at, { session }] of holdings.entries()) {
    if (verdicts[at] !== "held") continue;
    latest.set(session.sid, Math.max(session.generation, latest.get(session.sid) ?? 0));
  }
  for (const [at, { session }] of holdings.entries()) {
    if (verdicts[at] !== "held") continue;
    if (session.generation < (latest.get(session.sid) ?? 0)) verdicts[at] = "takenOver";
  }
}
