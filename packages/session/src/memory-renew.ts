/**
 * The verdict on one holding, and its lease. Absence is not loss: only a positive record takes a
 * seat away; one that is merely missing is put back if there is room. In Redis these are renew.lua
 * (what is there) and restore.lua (what is not).
 */
import {
  type Account,
  bury,
  capSessions,
  findSession,
  isSame,
  keep,
  type Moment,
  removeLosers,
  type SessionRecord,
  seated,
} from "./memory-account.ts";
import type { Holding, RegistrySettings, Verdict } from "./session.ts";

interface Renewal {
  readonly account: Account;
  readonly holding: Holding;
  readonly now: Moment;
  readonly settings: RegistrySettings;
}

export function renewInMemory(renewal: Renewal): Verdict {
  const { account, holding, now } = renewal;
  const { session, seat } = holding;
  const held = account.seats.get(session.sid);
  if (held && !isSame(held.seat, seat) && held.generation > session.generation) return "takenOver";
  if (!held || !isSame(held.seat, seat) || held.leaseEndsAtMs <= now.ms) return restore(renewal);
  extend(renewal);
  return "held";
}

function extend({ account, holding, now, settings }: Renewal): void {
  const held = account.seats.get(holding.session.sid)!; // asked for by the caller just now
  const isNewlyProven = holding.proven && !held.isProven;
  if (held.leaseEndsAtMs - now.ms >= settings.renewBelowMs && !isNewlyProven) return;
  held.leaseEndsAtMs = now.ms + settings.leaseMs;
  held.isProven ||= holding.proven;
  keep(account, now, settings);
  const record = findSession(account, holding.session.sid, now);
  if (!record) return;
  if (isNewlyProven) record.provenAtMs ||= now.ms;
  record.keptUntilMs = Math.max(record.keptUntilMs, now.ms + 2 * settings.leaseMs); // [D23]
}

function restore(renewal: Renewal): Verdict {
  const { account, holding, now, settings } = renewal;
  const { session, seat } = holding;
  const { sid } = session;
  const stored = findSession(account, sid, now);
  const over = stored && endOf(stored, session.generation);
  if (over) return over;
  const isElsewhere = stored && !isSame(stored.seat, seat);
  if (isElsewhere && stored.generation >= session.generation) return "takenOver";
  if (account.revision >= session.loginGeneration) return "ended";

  const held = account.seats.get(sid);
  const hasPlace = held !== undefined && held.leaseEndsAtMs > now.ms;
  const rules = account.rulesFrom <= session.loginGeneration ? session : account;
  const others = seated(account, { now, except: sid, oldestBy: "generation" });
  const surplus = hasPlace ? 0 : others.length + 1 - rules.seatsMax;
  const record = rebuilt(renewal, stored);
  if (surplus > 0 && others[surplus - 1]!.generation > session.generation) {
    bury(account, record, { now, settings, state: "displaced", reason: "" });
    account.sessions.set(sid, record);
    return "displaced";
  }
  removeLosers(account, others.slice(0, Math.max(0, surplus)), now, settings);
  if (rules === session) {
    const { seatsMax, policy, loginGeneration } = session;
    Object.assign(account, { seatsMax, policy, rulesFrom: loginGeneration });
  }
  seatAgain(renewal, record);
  return "held";
}

/**
 * Null: the session of a seat that is held with this generation goes on. A store that has forgotten
 * its last claim may have buried an earlier one, which says nothing of this seat.
 */
function endOf({ state, generation }: SessionRecord, held: number): "displaced" | "ended" | null {
  if (state === "live" || (state === "displaced" && generation < held)) return null;
  return state;
}

/** What the store knows of the session, or what its node knows better. */
function rebuilt({ holding, now, settings }: Renewal, stored: SessionRecord | null): SessionRecord {
  const { session, seat, proven } = holding;
  const keptUntilMs = Math.max(session.expiresAtMs, now.ms + 2 * settings.leaseMs);
  if (stored && stored.generation >= session.generation) {
    stored.keptUntilMs = Math.max(stored.keptUntilMs, keptUntilMs);
    return stored;
  }
  const isRotated = stored !== null && stored.currentHash !== session.secretHash;
  return {
    ...{ sid: session.sid, seat, hasLeft: false, state: "live", reason: "", keptUntilMs },
    identity: session,
    ...{ clientMetadata: session.clientMetadata, currentHash: session.secretHash },
    previousHash: isRotated ? stored.currentHash : null,
    ...{ olderHashes: stored?.olderHashes ?? [], beside: [], askedAtMs: stored?.askedAtMs ?? 0 },
    previousExpiresAtMs: isRotated ? stored.expiresAtMs : 0,
    provenAtMs: proven ? now.ms : 0,
    ...{ generation: session.generation, loginGeneration: session.loginGeneration },
    ...{ expiresAtMs: session.expiresAtMs, displaced: [], takenOver: [] },
  };
}

function seatAgain({ account, holding, now, settings }: Renewal, record: SessionRecord): void {
  const { session, seat, proven } = holding;
  if (proven) record.provenAtMs ||= now.ms;
  record.hasLeft = false;
  record.seat = seat;
  account.generation = Math.max(account.generation, record.generation);
  keep(account, now, settings);
  account.sessions.set(session.sid, record);
  account.seats.set(session.sid, {
    ...{ sid: session.sid, seat, generation: record.generation },
    loginGeneration: record.loginGeneration,
    ...{ leaseEndsAtMs: now.ms + settings.leaseMs, isProven: proven },
  });
  capSessions(account, settings);
}
