/**
 * What an onlooker knows of tokens, sessions, accounts and seats, from the calls that ran and from
 * nothing else. What is checked with it stands in the judges.
 */
import type { Policy, TakenSeat } from "../../src/session.ts";
import { Broken, demand } from "./broken.ts";
import { modelSettings as settings } from "./store.ts";

export interface Rules {
  readonly seatsMax: number;
  readonly policy: Policy;
}

export interface TokenView extends Rules {
  readonly tag: string;
  readonly expiresAtMs: number;
  usedBy: string | null; // the connection whose call ran first
  sid: string | null; // that it opened
}

export interface SessionView {
  readonly sid: string;
  readonly tag: string;
  readonly login: number;
  generation: number;
  connection: string; // of the last claim
  current: string; // hashes
  previous: string | null;
  previousExpiresAtMs: number;
  /** Cancelled when the previous one was used again, the last one first, each with its expiry. */
  beside: readonly (readonly [secret: string, expiresAtMs: number])[];
  askedMs: number; // of the last claim
  provenAtMs: number; // 0: not yet
  expiresAtMs: number;
  over: "displaced" | "ended" | null;
  /** The store may have lost some of this. */
  isVague: boolean;
  isMaybeOver: boolean;
}

export interface AccountView {
  limit: number;
  policy: Policy;
  rulesFrom: number;
  generation: number; // the highest seen
  displacedAtMs: number[];
  limitLeast: number;
  limitMost: number;
}

export type Seats = ReadonlyMap<string, readonly TakenSeat[]>; // by tag

export type Views = ReturnType<typeof createViews>;

export function createViews(now: () => number) {
  const tokens = new Map<string, TokenView>(); // by hash
  const sessions = new Map<string, SessionView>(); // by sid
  const accounts = new Map<string, AccountView>(); // by tag
  const leases = new Map<string, number>(); // by seat: until when it may stand at most
  const leasesLeast = new Map<string, number>(); // and at least: a renewal need not write
  const renewed = new Set<string>(); // seats that have more than a first lease
  const told = new Set<string>(); // lapsed seats that somebody was told of
  const views = {
    ...{ now, tokens, sessions, leases, leasesLeast, renewed },
    ...{ issued, lost, isGood, isRenewed, isOver, limitOf, accountOf, loginOf, sidOf },
    ...{ overNow, nobodyNew, tell, toldUntil, standsAgain },
    /** The store has lost writes: then less is promised. */
    hasLost: false,
    /** Seats lost to another's renewal: nobody tells them, their own next renewal does. */
    untold: 0,
  };
  return views;

  function issued(hash: string, token: Omit<TokenView, "usedBy" | "sid">): void {
    tokens.set(hash, { ...token, usedBy: null, sid: null });
  }

  /** The store has lost writes: of what was, it may know less, and tell it twice. */
  function lost(): void {
    views.hasLost = true;
    for (const session of sessions.values()) session.isVague = true;
    told.clear();
    leasesLeast.clear(); // what was written again may have been forgotten
    renewed.clear(); // what had been given back may stand again, as long as its lease
  }

  function isGood(presented: string, session: SessionView): boolean {
    if (presented === session.current) return true;
    if ((toldUntil(presented, session) ?? 0) <= now()) return false;
    return session.provenAtMs === 0 || now() < session.provenAtMs + settings.aliasGraceMs;
  }

  /** Of the ids before the current one. Null: it is none of them. */
  function toldUntil(presented: string, session: SessionView): number | null {
    if (presented === session.previous) return session.previousExpiresAtMs;
    return session.beside.find(([secret]) => secret === presented)?.[1] ?? null;
  }

  /** A seat that its node has renewed is given back by it; no lease need run out. */
  function isRenewed({ sid, ...seat }: TakenSeat): boolean {
    return renewed.has(seatOf(sid, seat));
  }

  function isOver(sid: string): boolean {
    const session = sessions.get(sid);
    return !session || session.over !== null || session.expiresAtMs <= now();
  }

  function limitOf(tag: string): number {
    const account = accountOf(tag);
    return views.hasLost ? account.limitMost : account.limit;
  }

  function accountOf(tag: string): AccountView {
    const known = accounts.get(tag);
    if (known) return known;
    const account: AccountView = {
      ...{ limit: 1, policy: "displace", rulesFrom: 0, generation: 0, displacedAtMs: [] },
      ...{ limitLeast: Number.POSITIVE_INFINITY, limitMost: 0 },
    };
    accounts.set(tag, account);
    return account;
  }

  function loginOf(sid: string): number {
    return sessions.get(sid)?.login ?? 0;
  }

  function sidOf(token: string): string {
    return tokens.get(token)?.sid ?? "";
  }

  function overNow(sid: string): void {
    const session = sessions.get(sid);
    if (session) session.over = "displaced";
  }

  function nobodyNew(before: Seats, after: Seats, but: readonly string[]): void {
    for (const [tag, seats] of after) {
      for (const seat of seats) {
        if (but.includes(seat.sid) || (before.get(tag) ?? []).some(isSeat({ seat }))) continue;
        throw new Broken(`${seat.connection} is seated and did not ask`);
      }
    }
  }

  function tell(lapsed: readonly TakenSeat[]): void {
    for (const seat of lapsed) {
      const one = seatOf(seat.sid, seat);
      demand(views.hasLost || !told.has(one), `${seat.connection} is told as lapsed twice`);
      told.add(one);
    }
  }

  /** It stands again, and may lapse again. */
  function standsAgain(seat: string): void {
    told.delete(seat);
  }
}

/** Names a seat: one connection may hold those of several sessions, one after the other. */
export function seatOf(sid: string, { connection }: { readonly connection: string }): string {
  return `${sid} ${connection}`;
}

/** Seats that stood before a call and no longer after it. */
export function gone(before: Seats, after: Seats): TakenSeat[] {
  return [...before].flatMap(([tag, seats]) => {
    const rest = after.get(tag) ?? [];
    return seats.filter(({ sid }) => !rest.some((seat) => seat.sid === sid));
  });
}

export function isSeat({ seat }: { readonly seat: { readonly connection: string } | null }) {
  return (one: { readonly connection: string }) => one.connection === seat?.connection;
}
