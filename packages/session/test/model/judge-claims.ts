/** What must never come of a login or a resume. */
import type { Claim, Refusal, TakenSeat } from "../../src/session.ts";
import { demand } from "./broken.ts";
import type { About } from "./link.ts";
import { modelSettings as settings } from "./store.ts";
import {
  type AccountView,
  gone,
  isSeat,
  type Rules,
  type Seats,
  type SessionView,
  seatOf,
  type Views,
} from "./views.ts";

export type ClaimCall = Extract<About, { readonly kind: "login" | "resume" }>;
/** Of a claim what can be seen without knowing its secret. */
export type SeenClaim = Omit<Claim, "sessionId">;

export function createClaimJudge(views: Views) {
  const { now } = views;
  return claimRan;

  function claimRan(
    about: ClaimCall,
    seen: SeenClaim | Refusal,
    before: Seats,
    after: Seats,
  ): void {
    const was = before.get(about.tag) ?? [];
    if (typeof seen === "string") {
      refused(about, seen, was);
      demand(gone(before, after).length === 0, "a refused call took a seat away");
      views.nobodyNew(before, after, []);
      return;
    }
    const { sid } = seen.session;
    const known = views.sessions.get(sid);
    if (about.kind === "login") tokenTaken(about, sid);
    else mayResume(about, known);
    const isRepeated =
      known?.connection === about.seat.connection && known.generation === seen.session.generation;
    const account = views.accountOf(about.tag);
    if (!isRepeated) {
      demand(seen.session.generation > account.generation, "a generation fell");
      account.generation = seen.session.generation;
    }
    if (seen.session.loginGeneration >= account.rulesFrom) {
      account.rulesFrom = seen.session.loginGeneration;
      ruled(account, seen.session);
    }
    remember(about, seen, known);
    const now_ = after.get(about.tag) ?? [];
    demand(now_.some(isSeat(about)), "a claim has no seat");
    demand(seen.online === now_.length, `online is told as ${seen.online}, not ${now_.length}`);
    views.nobodyNew(before, after, [sid]);
    displacedBy(about.tag, sid, gone(before, after), now_, seen);
    views.tell(seen.lapsed);
    const seat = seatOf(sid, about.seat);
    if (!isRepeated) views.renewed.delete(seat);
    const untilMs = isRepeated ? (views.leases.get(seat) ?? 0) : 0;
    views.leases.set(seat, Math.max(untilMs, now() + settings.firstLeaseMs));
    views.standsAgain(seat);
    if (!isRepeated) views.leasesLeast.set(seat, now() + settings.firstLeaseMs);
  }

  // [I2]
  function tokenTaken(about: { presented: string; seat: { connection: string } }, sid: string) {
    const token = views.tokens.get(about.presented);
    demand(token !== undefined, "an unknown token was accepted");
    const { connection } = about.seat;
    demand(token.usedBy === null || token.usedBy === connection, "a token was claimed twice");
    demand(token.sid === null || token.sid === sid, "a token opened two sessions");
    token.usedBy = connection;
    token.sid = sid;
  }

  function mayResume(about: ClaimCall, known: SessionView | undefined): void {
    demand(known !== undefined, "an unknown session was resumed");
    if (known.isVague) return;
    demand(known.over === null, `a session that is ${known.over} was resumed`);
    demand(known.expiresAtMs > now(), "an expired session was resumed");
    demand(!isOvertaken(about, known), "a call was let in that its client had overtaken");
    demand(
      views.isGood(about.presented, known),
      "a secret was accepted that is two back, or too old",
    );
  }

  function remember(
    about: ClaimCall,
    { session }: SeenClaim,
    known: SessionView | undefined,
  ): void {
    const { sid, generation, expiresAtMs } = session;
    const { connection } = about.seat;
    if (!known) {
      views.sessions.set(sid, {
        ...{ sid, tag: about.tag, login: session.loginGeneration, generation, connection },
        ...{ current: about.secret, previous: null, previousExpiresAtMs: 0, provenAtMs: 0 },
        ...{ expiresAtMs, over: null, isVague: false, isMaybeOver: false },
        ...{ beside: [], askedMs: 0 },
      });
      return;
    }
    if (about.kind === "resume") {
      rotate(about, known);
    }
    Object.assign(known, { generation, connection, expiresAtMs, over: null });
  }

  /** [§9] */
  function rotate({ presented, secret, askedMs }: ClaimCall, known: SessionView): void {
    const { current, expiresAtMs } = known;
    if (presented === known.previous && presented !== current) {
      const isNew = current !== secret;
      if (isNew) known.beside = [[current, expiresAtMs] as const, ...known.beside].slice(0, 16);
    } else {
      const untilMs = presented === current ? expiresAtMs : views.toldUntil(presented, known);
      Object.assign(known, { previous: presented, previousExpiresAtMs: untilMs ?? 0, beside: [] });
    }
    Object.assign(known, { current: secret, provenAtMs: 0, askedMs });
  }

  /** Its client has asked again since, and was let in. */
  function isOvertaken({ presented, seat, askedMs }: ClaimCall, session: SessionView): boolean {
    const isOther = presented !== session.current && seat.connection !== session.connection;
    return isOther && askedMs < session.askedMs;
  }

  /** Who lost a seat by this claim: the oldest logins, and only as many as there is no room for. */
  function displacedBy(
    tag: string,
    by: string,
    losers: readonly TakenSeat[],
    seats: readonly TakenSeat[],
    claim: SeenClaim,
  ): void {
    const others = losers.filter(({ sid }) => sid !== by);
    const account = views.accountOf(tag);
    const full = views.hasLost ? account.limitLeast : account.limit;
    for (const loser of others) {
      demand(
        claim.displaced.some(({ sid }) => sid === loser.sid),
        "a seat was taken and its loser not told of",
      );
      demand(seats.length >= full, "somebody was displaced although there was room");
      demand(
        seats.every(({ sid }) => views.loginOf(sid) > views.loginOf(loser.sid)),
        "a wrong victim: an older login kept its seat",
      );
      views.overNow(loser.sid);
    }
    if (others.length === 0) return;
    const { flapWindowMs, flapDisplacementsMax } = settings;
    account.displacedAtMs.push(now());
    const recent = account.displacedAtMs.filter((at) => at + flapWindowMs > now());
    demand(views.hasLost || recent.length <= flapDisplacementsMax, "the breaker did not break");
  }

  function refused(about: ClaimCall, why: Refusal, was: readonly TakenSeat[]): void {
    const session = views.sessions.get(
      about.kind === "resume" ? about.sid : views.sidOf(about.presented),
    );
    const account = views.accountOf(about.tag);
    const token = about.kind === "login" ? views.tokens.get(about.presented) : undefined;
    if (views.hasLost) {
      // Secrets are vague then, so why it was refused is not known.
      if (session && why === "session" && was.length >= account.limitLeast) {
        Object.assign(session, { isVague: true, isMaybeOver: true });
      }
      return;
    }
    // A token that has opened nothing yet brings its own rules.
    const isFresh = token !== undefined && token.sid === null;
    const others = was.filter(({ sid }) => sid !== session?.sid);
    const isFull = others.length >= (isFresh ? token.seatsMax : account.limit);
    const policy = isFresh ? token.policy : account.policy;
    const isOwn = token?.usedBy === about.seat.connection;
    if (token && token.usedBy === null && why !== "token" && why !== "epoch")
      token.usedBy = about.seat.connection;
    switch (why) {
      case "replayed":
        demand(token?.usedBy !== null && !isOwn, "an unused token was called replayed");
        return;
      case "limit":
        demand(isOwn || (isFull && policy === "reject"), "refused although there is room");
        return;
      case "flapping": {
        const recent = account.displacedAtMs.filter((at) => at + settings.flapWindowMs > now());
        const isFlapping = recent.length >= settings.flapDisplacementsMax;
        demand(isOwn || (isFull && isFlapping), "called flapping without a cause");
        return;
      }
      case "token":
        if (!token || token.expiresAtMs <= now()) return;
        demand(token.usedBy !== null, "a good token was refused");
        demand(isOwn, "another connection's token was not called replayed");
        demand(
          session &&
            (session.current !== about.secret || isLegallyOver(session, about.secret, others)),
          "a login's repeated call was refused",
        );
        return;
      case "epoch":
        demand(false, "a token was refused as of another epoch, and there was none");
        return;
      case "overtaken":
        demand(session !== undefined, "an unknown session was called overtaken");
        demand(isOvertaken(about, session), "called overtaken by nobody");
        return;
      case "session":
      case "stolen":
        demand(
          !session || isLegallyOver(session, about.presented, others),
          "a session that lives was refused with an id that is good",
        );
        return;
      default:
        why satisfies never;
    }
  }

  /** Over, or just now losing its place for good: newer logins hold them all. */
  function isLegallyOver(session: SessionView, secret: string, others: readonly TakenSeat[]) {
    if (session.over !== null || session.expiresAtMs <= now()) return true;
    if (!views.isGood(secret, session)) return true;
    const newer = others.filter(({ sid }) => views.loginOf(sid) > session.login);
    if (newer.length < views.accountOf(session.tag).limit) return false;
    session.over = "displaced";
    return true;
  }

  function ruled(account: AccountView, { seatsMax, policy }: Rules): void {
    account.limit = seatsMax;
    account.policy = policy;
    account.limitLeast = Math.min(account.limitLeast, seatsMax);
    account.limitMost = Math.max(account.limitMost, seatsMax);
  }
}
