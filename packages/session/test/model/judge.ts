/**
 * The promises of the registry, checked from the outside on every call that ran: what was asked,
 * what was answered, and who was seated just before and just after. It does not foretell answers
 * (agreement.test.ts compares those); it knows only what must never happen.
 */
import type { Refusal, TakenSeat } from "../../src/session.ts";
import { Broken, demand } from "./broken.ts";
import { createClaimJudge, type SeenClaim } from "./judge-claims.ts";
import { createRenewalJudge } from "./judge-renewals.ts";
import type { About, Seen } from "./link.ts";
import type { Held } from "./node.ts";
import { modelSettings as settings } from "./store.ts";
import { createViews, gone, isSeat, type Seats, seatOf } from "./views.ts";

export type Judge = ReturnType<typeof createJudge>;

export function createJudge(now: () => number) {
  const views = createViews(now);
  const claimRan = createClaimJudge(views);
  const renewRan = createRenewalJudge(views);
  return { views, ran, mayClose };

  function ran(about: About, seen: Seen, before: Seats, after: Seats, isStray: boolean): void {
    if ((about.kind === "login" || about.kind === "resume") && seen === null) {
      demand(gone(before, after).length === 0, "a call that came too late took a seat away");
      views.nobodyNew(before, after, []);
    } else if (about.kind === "login" || about.kind === "resume") {
      claimRan(about, seen as SeenClaim | Refusal, before, after); // as asked
    } else if (about.kind === "renew" || about.kind === "restore") {
      renewRan(about.asked, seen as readonly string[], before, after); // as asked
    } else if (about.kind === "leave") {
      demand(gone(before, after).every(isSeat(about)), "a leave took another's seat away");
    } else if (about.kind === "end") {
      const session = views.sessions.get(about.sid);
      if (session && session.over === null) session.over = "ended";
      demand(
        gone(before, after).every(({ sid }) => sid === about.sid),
        "an end hit another",
      );
    } else if (about.kind === "reap") {
      const { lapsed } = seen as { readonly lapsed: readonly TakenSeat[] }; // as asked
      reaped(about, gone(before, after), lapsed);
      views.tell(lapsed);
    }
    // One that runs when its connection is gone overtakes what its node has sent since.
    if (about.kind === "restore" || about.kind === "renew") {
      for (const one of about.asked) if (isStray) views.renewed.delete(seatOf(one.sid, one.seat));
    }
    if (!/^(login|resume|renew|restore)$/.test(about.kind)) views.nobodyNew(before, after, []);
    for (const [tag, seats] of after) seatsStand(tag, seats);
  }

  /** Of a node held for dead the seats go at once, but none that it took or renewed since. */
  function reaped(
    { node, diedAtMs }: Extract<About, { readonly kind: "reap" }>,
    losers: readonly TakenSeat[],
    lapsed: readonly TakenSeat[],
  ): void {
    for (const seat of losers) {
      const untilMs = views.leasesLeast.get(seatOf(seat.sid, seat)) ?? 0;
      const isOlder = untilMs <= diedAtMs + settings.leaseMs && seat.generation <= diedAtMs * 1000;
      demand(seat.node === node && isOlder, "a reap took a seat whose lease runs");
      demand(lapsed.some(isSeat({ seat })), "a reap took a seat and told nobody");
    }
  }

  /** A node ends the connection that held this seat: somebody else must have got its place. */
  function mayClose(
    { session: held }: Held,
    ending: "displaced" | "takenOver" | "sessionEnded",
  ): void {
    const session = views.sessions.get(held.sid);
    if (session && session.expiresAtMs <= views.now()) return; // it need not be remembered
    if (!session) throw new Broken(`${ending} was said to one who never had a seat`);
    if (ending === "takenOver") {
      demand(session.generation > held.generation, "taken over, and nobody claimed it since");
    } else if (ending === "displaced") {
      demand(session.over === "displaced" || session.isVague, "displaced, and the session goes on");
    } else demand(views.hasLost || session.over === "ended", "ended, and the session goes on");
  }

  /** [I1] [I7] After every call: never more than the limit, and each within its lease. */
  function seatsStand(tag: string, seats: readonly TakenSeat[]): void {
    const account = views.accountOf(tag);
    const limit = views.hasLost ? account.limitMost : account.limit;
    demand(seats.length <= limit, `${seats.length} seats are held, and the limit is ${limit}`);
    for (const seat of seats) {
      const untilMs = views.leases.get(seatOf(seat.sid, seat)) ?? 0;
      demand(untilMs > now(), `${seat.connection} has outlived its lease`);
    }
  }
}
