/**
 * Login and resume on one account in memory: login.lua, resume.lua and the claim of prelude.lua.
 * Each decides first and changes afterwards, as the scripts do.
 */
import { formatSessionId, hashOf } from "./identifiers.ts";
import {
  type Account,
  admit,
  bury,
  capSessions,
  dropLapsed,
  findSession,
  isSame,
  keep,
  lost,
  type Moment,
  recentDisplacements,
  removeLosers,
  type SessionRecord,
  seated,
} from "./memory-account.ts";
import type {
  Claim,
  Identity,
  LostSeat,
  Presented,
  Refusal,
  RegistrySettings,
  Revocation,
  Session,
} from "./session.ts";

const olderMax = 4;
const besideMax = 16; // as in claim.lua

/** One call, on the account that its credential names. */
interface Call {
  readonly tag: string;
  readonly account: Account;
  readonly hash: string; // of the secret that was presented
  readonly presented: Presented;
  readonly now: Moment;
  readonly settings: RegistrySettings;
}

interface Attempt extends Call {
  readonly record: SessionRecord;
  readonly isAliasUsed: boolean;
}

export function loginInMemory(call: Call): Claim | Refusal | Revocation {
  const { account, presented, now, settings } = call;
  const token = account.tokens.get(call.hash);
  if (!token || token.keptUntilMs <= now.ms) return "token";
  if (token.used) {
    if (!isSame(token.used.seat, presented.seat)) return replayed(call, token.used);
    if (token.used.outcome !== "claimed") return token.used.outcome;
    return repeat(call, token.used.sid);
  }
  if (token.revision < account.revision) return "token";
  token.used = { seat: presented.seat, sid: presented.sid, outcome: "claimed" };
  const { seatsMax, policy } = account;
  account.seatsMax = token.identity.seatsMax;
  account.policy = token.identity.policy;
  const record = freshSession(call, token.identity);
  const claim = claimSeat({ ...call, record, isAliasUsed: false });
  if (typeof claim === "string") {
    Object.assign(account, { seatsMax, policy }); // a refused login rules nothing
    token.used.outcome = claim as "limit" | "flapping"; // the newest login is never too old
    return claim;
  }
  account.rulesFrom = record.loginGeneration;
  capSessions(account, settings);
  return claim;
}

function freshSession({ account, presented, now, settings }: Call, identity: Identity) {
  const generation = Math.max(account.generation + 1, now.stamp);
  const record: SessionRecord = {
    ...{ sid: presented.sid, identity, seat: presented.seat, hasLeft: true },
    ...{ clientMetadata: presented.clientMetadata, currentHash: hashOf(presented.secret) },
    ...{
      previousHash: null,
      olderHashes: [],
      beside: [],
      askedAtMs: 0,
      previousExpiresAtMs: 0,
      provenAtMs: 0,
      state: "live",
      reason: "",
    },
    ...{ generation, loginGeneration: generation, expiresAtMs: now.ms + settings.sessionTtlMs },
    ...{ keptUntilMs: 0, displaced: [], takenOver: [] },
  };
  return record;
}

/** The same connection asks again, since an answer was lost: the same answer. [D19] */
function repeat(call: Call, sid: string): Claim | Refusal {
  const { account, presented, now, settings } = call;
  const record = findSession(account, sid, now);
  if (record?.state !== "live" || record.expiresAtMs <= now.ms) return "token";
  if (record.currentHash !== hashOf(presented.secret)) return "token"; // resumed elsewhere
  const attempt = { ...call, record, isAliasUsed: false };
  const held = account.seats.get(sid);
  if (held && held.leaseEndsAtMs > now.ms) {
    return toClaim(attempt, dropLapsed(account, { now, except: sid, settings }));
  }
  const claim = claimSeat(attempt);
  return claim === "session" ? "token" : claim;
}

export function resumeInMemory(
  call: Call,
  { sid, askedAgoMs }: { readonly sid: string; readonly askedAgoMs: number },
): Claim | Refusal | Revocation {
  const { account, hash, presented, now, settings } = call;
  const record = findSession(account, sid, now);
  if (record?.state !== "live" || record.expiresAtMs <= now.ms) return "session";
  const isCurrent = hash === record.currentHash;
  const askedAtMs = Math.min(Math.ceil(now.ms - askedAgoMs), now.ms);
  if (!isCurrent && isOvertaken(call, record, askedAtMs)) return "overtaken";
  if (!isCurrent && !isAlias(call, record)) {
    if (!isStolen(call, record)) return "session";
    // Right behind a resume it may be a leftover of the client's own.
    const isRecent = now.ms < Math.floor(record.generation / 1000) + settings.replayGraceMs;
    return settings.theftEnds && !isRecent ? revoke(call, record, "stolen") : "stolen";
  }
  const rotated: SessionRecord = {
    ...record,
    ...secretsAfter(call, record, isCurrent),
    ...{ provenAtMs: 0, askedAtMs, expiresAtMs: now.ms + settings.sessionTtlMs },
  };
  if (Object.keys(presented.clientMetadata).length > 0) {
    rotated.clientMetadata = presented.clientMetadata;
  }
  const isAliasUsed = !isCurrent && !isSame(record.seat, presented.seat);
  return claimSeat({ ...call, record: rotated, isAliasUsed });
}

/**
 * [§9] An alias used again stays the previous one. What it cancels may be what its client has: it
 * is good for as long as the alias is. Whoever uses that has moved on from the alias.
 */
function secretsAfter({ hash, presented }: Call, record: SessionRecord, isCurrent: boolean) {
  const { currentHash: cancelled, expiresAtMs, beside } = record;
  const currentHash = hashOf(presented.secret);
  if (!isCurrent && hash === record.previousHash) {
    const longer = [{ hash: cancelled, expiresAtMs }, ...beside].slice(0, besideMax);
    return { currentHash, beside: cancelled === currentHash ? beside : longer };
  }
  return {
    ...{ currentHash, previousHash: hash, olderHashes: withOlder(record), beside: [] },
    previousExpiresAtMs: isCurrent ? expiresAtMs : (toldUntilMs(hash, record) ?? 0),
  };
}

/** Until when its client was told that this id is good; null if it is none of those before. */
function toldUntilMs(hash: string, record: SessionRecord): number | null {
  if (hash === record.previousHash) return record.previousExpiresAtMs;
  return record.beside.find((one) => one.hash === hash)?.expiresAtMs ?? null;
}

/** Its client has asked again since, and was let in: this call was waiting somewhere. */
function isOvertaken({ hash, now, presented }: Call, record: SessionRecord, askedAtMs: number) {
  if (isSame(record.seat, presented.seat) || record.askedAtMs > now.ms) return false;
  if (askedAtMs >= record.askedAtMs) return false;
  return toldUntilMs(hash, record) !== null || record.olderHashes.includes(hash);
}

/** Replaced by whoever had it, past its grace, and presented elsewhere. */
function isStolen({ hash, now, presented }: Call, record: SessionRecord): boolean {
  if (isSame(record.seat, presented.seat)) return false;
  if (hash === record.previousHash) return record.previousExpiresAtMs > now.ms;
  return record.olderHashes.includes(hash);
}

function withOlder({ previousHash, olderHashes }: SessionRecord): readonly string[] {
  return previousHash === null ? olderHashes : [previousHash, ...olderHashes].slice(0, olderMax);
}

/** Who lost the answer, or asked twice at once, is no thief: see login.lua. */
function replayed(
  call: Call,
  { sid, outcome }: { readonly sid: string; readonly outcome: string },
): "replayed" | Revocation {
  const { account, now, settings } = call;
  const record = outcome === "claimed" ? findSession(account, sid, now) : null;
  if (!settings.replayEnds || record?.state !== "live") return "replayed";
  const resumedAtMs = record.previousHash === null ? 0 : Math.floor(record.generation / 1000);
  const sinceMs = record.provenAtMs || resumedAtMs;
  if (sinceMs === 0 || now.ms < sinceMs + settings.replayGraceMs) return "replayed";
  return revoke(call, record, "replayed");
}

/** Two have a credential of this session: by the settings it is over for both. */
function revoke(
  { account, now, settings }: Call,
  record: SessionRecord,
  refusal: Revocation["refusal"],
): Revocation {
  const held = account.seats.get(record.sid);
  const ended = held && held.leaseEndsAtMs > now.ms ? [lost(held)] : [];
  bury(account, record, { now, settings, state: "ended", reason: refusal });
  return { refusal, account: record.identity.account, ended };
}

/** [D20] good until a while after the client has shown that it got the one after it. */
function isAlias({ hash, now, settings }: Call, record: SessionRecord): boolean {
  if ((toldUntilMs(hash, record) ?? 0) <= now.ms) return false;
  return record.provenAtMs === 0 || now.ms < record.provenAtMs + settings.aliasGraceMs;
}

/** Seats a session: in its own place if it has one, else by the rules of the account. */
function claimSeat(attempt: Attempt): Claim | "limit" | "flapping" | "session" {
  const { account, record, presented, now, settings } = attempt;
  const { sid, loginGeneration } = record;
  const own = account.seats.get(sid);
  const hasPlace = own !== undefined && own.leaseEndsAtMs > now.ms;
  const others = seated(account, { now, except: sid });
  const losers = hasPlace ? [] : admit(account, { others, loginGeneration, now, settings });
  if (losers === "over") {
    const stored = account.sessions.get(sid);
    if (stored) bury(account, stored, { now, settings, state: "displaced", reason: "" });
    return "session";
  }
  if (typeof losers === "string") return losers;

  const isRepeated = isSame(record.seat, presented.seat);
  const takenOver = record.hasLeft || isRepeated ? [] : [lost(record)];
  record.displaced = [...(isRepeated ? record.displaced : []), ...losers.map(lost)];
  record.takenOver = [...(isRepeated ? record.takenOver : []), ...takenOver];
  const lapsed = dropLapsed(account, { now, except: sid, settings });
  removeLosers(account, losers, now, settings);
  if (losers.length > 0 && settings.flapDisplacementsMax > 0) {
    account.displacedAtMs = [...recentDisplacements(account, now, settings), now.ms];
  }
  sit(attempt);
  return toClaim(attempt, lapsed);
}

function sit({ account, record, presented, now, settings }: Attempt): void {
  const { sid, loginGeneration } = record;
  account.generation = Math.max(account.generation + 1, now.stamp);
  record.generation = account.generation;
  record.seat = presented.seat;
  record.hasLeft = false;
  record.keptUntilMs = Math.max(record.expiresAtMs, now.ms + 2 * settings.leaseMs);
  keep(account, now, settings);
  account.sessions.set(sid, record);
  account.seats.set(sid, {
    ...{ sid, seat: presented.seat, generation: record.generation, loginGeneration },
    ...{ leaseEndsAtMs: now.ms + settings.firstLeaseMs, isProven: false },
  });
}

function toClaim(attempt: Attempt, lapsed: readonly LostSeat[]): Claim {
  const { tag, account, record, presented, now, isAliasUsed } = attempt;
  const { sid, displaced, takenOver } = record;
  const session: Session = {
    ...record.identity,
    ...{ seatsMax: account.seatsMax, policy: account.policy, tag, sid },
    ...{ generation: record.generation, loginGeneration: record.loginGeneration },
    ...{ expiresAtMs: record.expiresAtMs, clientMetadata: record.clientMetadata },
    secretHash: record.currentHash,
  };
  const sessionId = formatSessionId({ tag, sid, secret: presented.secret });
  const online = seated(account, { now }).length;
  return { session, sessionId, isAliasUsed, online, displaced, takenOver, lapsed };
}
