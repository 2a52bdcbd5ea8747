/**
 * Accounts that log in again while a dependency is away: for how long their older connections
 * outlive the newer ones.
 */
import { quantile, spread } from "./figures.ts";
import type { Lab } from "./lab.ts";
import type { Outage } from "./outage.ts";
import type { Trial } from "./scenario.ts";
import type { Visit } from "./visit.ts";

export const renewalMs = 6_000;
const pairs = 6;
const againMs = 200;
const patienceMs = 90_000;

/** A few connections on all nodes, each of an account of its own. */
export function enterEach(lab: Lab, who: string): Promise<readonly Visit[]> {
  const numbers = Array.from({ length: pairs }, (_, index) => index);
  return Promise.all(
    numbers.map((number) =>
      lab.enter({ url: lab.urls[number % lab.urls.length]!, account: `${who}-${number}` }),
    ),
  );
}

/** Milliseconds for which the older connection outlived the newer one's answer. */
export async function displace(lab: Lab, older: Visit): Promise<number> {
  const newer = await enterAtLast(lab, elsewhere(lab, older), older.view.account);
  const closed = await older.wire.waitClosed(3 * renewalMs).catch(() => null);
  lab.leave(newer);
  if (newer.login === null || closed?.closePush?.code !== 6) return Number.POSITIVE_INFINITY;
  return (older.view.endedMs ?? Number.POSITIVE_INFINITY) - (newer.view.answeredMs ?? 0);
}

/** Some log in again from the beginning of an outage on; most are let in when it has ended. */
export function displacing(lab: Lab, name: string) {
  let overlapsMs: readonly Promise<number>[] = [];
  return {
    during<Of extends Pick<Outage, "begin">>(outage: Of): Of {
      return {
        ...outage,
        async begin() {
          const older = await enterEach(lab, `${name}, pair`);
          const healed = lab.allowOverlap(renewalMs);
          await outage.begin();
          overlapsMs = older.map((one) => displace(lab, one));
          void Promise.allSettled(overlapsMs).then(healed);
        },
      };
    },
    overlapsMs: () => Promise.all(overlapsMs),
  };
}

/** Another edge. */
function elsewhere(lab: Lab, { view }: Visit): string {
  return lab.urls[(lab.urls.indexOf(view.url) + 2) % lab.urls.length]!;
}

/** Comes again, with a new token, until it is let in: that may be when all is well again. */
async function enterAtLast(lab: Lab, url: string, account: string): Promise<Visit> {
  const untilMs = performance.now() + patienceMs;
  for (;;) {
    const visit = await lab.enter({ url, account }).catch(() => null);
    if (visit !== null && (visit.login !== null || performance.now() > untilMs)) return visit;
    if (visit !== null) lab.leave(visit);
    if (performance.now() > untilMs) throw new Error(`Cannot let ${account} in at ${url}`);
    await Bun.sleep(againMs);
  }
}

export function reportOverlaps(
  { measure }: Trial,
  name: string,
  overlapsMs: readonly number[],
): void {
  const what = `${name}: newer login answered -> older connection closed`;
  const measured = Math.max(0, quantile(overlapsMs, 1));
  const note = spread(overlapsMs);
  measure({ promise: 5, what, atMost: renewalMs, measured, unit: "ms", note });
}
