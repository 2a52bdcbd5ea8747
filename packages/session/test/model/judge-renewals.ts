/** What must never come of a renewal: nobody is told a loss that did not happen. */
import type { TakenSeat } from "../../src/session.ts";
import { Broken, demand } from "./broken.ts";
import type { Asked } from "./link.ts";
import { modelSettings as settings } from "./store.ts";
import { gone, type Seats, type SessionView, seatOf, type Views } from "./views.ts";

export function createRenewalJudge(views: Views) {
  const { now } = views;
  return renewRan;

  function renewRan(
    asked: readonly Asked[],
    verdicts: readonly (string | null)[],
    before: Seats,
    after: Seats,
  ): void {
    const held: string[] = [];
    for (const [index, one] of asked.entries()) {
      const verdict = verdicts[index] ?? null;
      const session = views.sessions.get(one.sid);
      if (!session) throw new Broken("a session was renewed that nobody opened");
      const others = (after.get(session.tag) ?? []).filter(({ sid }) => sid !== one.sid);
      if (verdict === "held") {
        held.push(one.sid);
        const was = (before.get(session.tag) ?? []).find(({ sid }) => sid === one.sid);
        heldOn(one, session, was?.connection === one.seat.connection);
        // The store had forgotten who of the two came later, and was told by the earlier one first.
        if (was && was.connection !== one.seat.connection) views.untold++;
      } else if (verdict === "displaced" && session.over !== "displaced") {
        if (session.isMaybeOver) views.overNow(session.sid);
        else yielded(one, session, others);
      } else if (verdict === "takenOver") {
        demand(session.generation > one.generation, "taken over by nobody");
      } else if (verdict === "ended") {
        demand(views.hasLost || session.over === "ended", "ended by nobody");
      }
    }
    views.nobodyNew(before, after, held);
    // A seat put back may cost one that was put back just before it.
    const isStill = (sid: string) => [...after.values()].flat().some((seat) => seat.sid === sid);
    for (const sid of held.filter((one) => !isStill(one))) displacedByRenewal(sid);
    for (const loser of gone(before, after)) {
      // A seat that came back to a full account: the lowest generations go.
      if (held.includes(loser.sid)) continue;
      const seats = after.get(views.sessions.get(loser.sid)?.tag ?? "") ?? [];
      demand(
        seats.some(({ sid, generation }) => held.includes(sid) && generation > loser.generation),
        "a renewal took a newer seat away",
      );
      displacedByRenewal(loser.sid);
    }
  }

  function heldOn(one: Asked, session: SessionView, wasSeated: boolean): void {
    // Past the told expiry the store need not remember it.
    if (!session.isVague && session.expiresAtMs > now()) {
      demand(session.over === null, `a seat of a session that is ${session.over} was held`);
      const isOwn = session.connection === one.seat.connection; // a repeated call ran late
      demand(isOwn || session.generation === one.generation, "an older seat was held");
    }
    session.over = null; // the store may have forgotten what was known
    views.renewed.add(seatOf(one.sid, one.seat));
    const seat = seatOf(one.sid, one.seat);
    views.leases.set(seat, now() + settings.leaseMs);
    const leftMs = (views.leasesLeast.get(seat) ?? 0) - now();
    if (!wasSeated) views.standsAgain(seat);
    if (!wasSeated || leftMs < settings.renewBelowMs) {
      views.leasesLeast.set(seat, now() + settings.leaseMs);
    }
    if (one.proven && session.connection === one.seat.connection) session.provenAtMs ||= now();
  }

  /** It came back and there was no room: only then has its place been given away. */
  function yielded(one: Asked, session: SessionView, others: readonly TakenSeat[]): void {
    const account = views.accountOf(session.tag);
    const newer = others.filter(({ generation }) => generation > one.generation);
    const full = views.hasLost ? account.limitLeast : account.limit;
    demand(newer.length >= full, "told displaced although its place was given to nobody");
    views.overNow(session.sid);
  }

  function displacedByRenewal(sid: string): void {
    views.overNow(sid);
    views.untold++;
  }
}
