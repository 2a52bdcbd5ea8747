/**
 * The registry inside one process, for the embedded mode: the nodes of a process share one. Calls
 * never wait for anything, so each is atomic. It keeps the same rules as the Lua scripts, which
 * `agreement.test.ts` compares with it call by call.
 */
import { checkIssue, checkPresented, checkSettings } from "./bounds.ts";
import {
  createSecret,
  formatSessionId,
  formatToken,
  hashOf,
  parseSessionId,
  parseToken,
  tagOf,
} from "./identifiers.ts";
import {
  type Account,
  admit,
  bury,
  capSessions,
  createAccount,
  dropLapsed,
  findSession,
  isSame,
  lost,
  type Moment,
  recentDisplacements,
  type SessionRecord,
  seated,
} from "./memory-account.ts";
import { renewInMemory } from "./memory-renew.ts";
import {
  type Claim,
  defaultRegistrySettings,
  type LostSeat,
  type Presented,
  type Refusal,
  type RegistrySettings,
  type Session,
  type SessionRegistry,
} from "./session.ts";

const ACCOUNTS_SWEPT_PER_ISSUE = 4; // only an issue adds an account, so this outruns growth

export function createMemoryRegistry(options: {
  readonly settings?: RegistrySettings;
  readonly clock: { now(): number };
}): SessionRegistry {
  const settings = checkSettings(options.settings ?? defaultRegistrySettings);
  const accounts = new Map<string, Account>(); // by tag
  let sweeping = accounts.entries();

  return {
    async issue(identity, ttlMs) {
      checkIssue(identity, ttlMs);
      const now = moment();
      sweep(now);
      const tag = tagOf(identity.account);
      const account = open(tag);
      const secret = createSecret();
      account.tokens.set(hashOf(secret), {
        ...{ identity, revision: account.revision, keptUntilMs: now.ms + ttlMs, used: null },
      });
      const online = seated(account, now, "").length;
      return { token: formatToken({ tag, secret }), expiresAtMs: now.ms + ttlMs, online };
    },
    async login(token, presented) {
      checkPresented(presented);
      const parts = parseToken(token);
      const account = parts && accounts.get(parts.tag);
      if (!parts || !account) return "token";
      return login({ tag: parts.tag, account, hash: hashOf(parts.secret), presented });
    },
    async resume(sessionId, presented) {
      checkPresented(presented);
      const parts = parseSessionId(sessionId);
      const account = parts && accounts.get(parts.tag);
      if (!parts || !account) return "session";
      return resume({ ...parts, account, hash: hashOf(parts.secret), presented });
    },
    async renew(holdings) {
      const now = moment();
      return holdings.map((holding) =>
        renewInMemory({ account: open(holding.session.tag), holding, now, settings }),
      );
    },
    async leave({ session, seat }) {
      const account = accounts.get(session.tag);
      const held = account?.seats.get(session.sid);
      if (!account || !held || !isSame(held.seat, seat)) return;
      account.seats.delete(session.sid);
      const record = account.sessions.get(session.sid);
      if (!record) return;
      record.hasLeft = true;
      record.keptUntilMs = record.expiresAtMs;
    },
    async end(who, reason) {
      return "account" in who
        ? endAccount(open(tagOf(who.account)), reason)
        : endSessions(open(who.session.tag), [who.session.sid], reason);
    },
  };

  function moment(): Moment {
    const ms = options.clock.now();
    return { ms, stamp: ms * 1000 };
  }

  function open(tag: string): Account {
    const known = accounts.get(tag);
    if (known) return known;
    const account = createAccount();
    accounts.set(tag, account);
    return account;
  }

  function login(call: {
    readonly tag: string;
    readonly account: Account;
    readonly hash: string;
    readonly presented: Presented;
  }): Claim | Refusal {
    const { account, presented } = call;
    const now = moment();
    const token = account.tokens.get(call.hash);
    if (!token || token.keptUntilMs <= now.ms) return "token";
    if (token.used) {
      if (!isSame(token.used.seat, presented.seat)) return "replayed";
      if (token.used.outcome !== "claimed") return token.used.outcome;
      return repeat({ ...call, sid: token.used.sid, now });
    }
    if (token.revision < account.revision) return "token";
    token.used = { seat: presented.seat, sid: presented.sid, outcome: "claimed" };
    const before = { seatsMax: account.seatsMax, policy: account.policy };
    account.seatsMax = token.identity.seatsMax;
    account.policy = token.identity.policy;
    const generation = Math.max(account.generation + 1, now.stamp);
    const record: SessionRecord = {
      ...{ sid: presented.sid, identity: token.identity, seat: presented.seat, hasLeft: true },
      ...{ clientMetadata: presented.clientMetadata, currentHash: hashOf(presented.secret) },
      ...{ previousHash: null, previousExpiresAtMs: 0, provenAtMs: 0, state: "live", reason: "" },
      ...{ generation, loginGeneration: generation, expiresAtMs: now.ms + settings.sessionTtlMs },
      ...{ keptUntilMs: 0, displaced: [], takenOver: [] },
    };
    const claim = claimSeat({ ...call, record, now, isAliasUsed: false });
    if (typeof claim === "string") {
      Object.assign(account, before); // a refused login rules nothing
      token.used.outcome = claim as "limit" | "flapping"; // a newest login is never "over"
      return claim;
    }
    account.rulesFrom = generation;
    capSessions(account, settings);
    return claim;
  }

  /** The same connection asks again, since an answer was lost: the same answer. [D19] */
  function repeat(call: {
    readonly tag: string;
    readonly account: Account;
    readonly sid: string;
    readonly presented: Presented;
    readonly now: Moment;
  }): Claim | Refusal {
    const { account, sid, presented, now } = call;
    const record = findSession(account, sid, now);
    if (record?.state !== "live" || record.expiresAtMs <= now.ms) return "token";
    if (record.currentHash !== hashOf(presented.secret)) return "token"; // resumed elsewhere
    const held = account.seats.get(sid);
    if (!held || held.leaseEndsAtMs <= now.ms) {
      const claim = claimSeat({ ...call, record, isAliasUsed: false });
      return claim === "session" ? "token" : claim;
    }
    const lapsed = dropLapsed(account, { now, except: sid, settings });
    return toClaim({ ...call, record, lapsed, isAliasUsed: false });
  }

  function resume(call: {
    readonly tag: string;
    readonly sid: string;
    readonly account: Account;
    readonly hash: string;
    readonly presented: Presented;
  }): Claim | Refusal {
    const { account, sid, hash, presented } = call;
    const now = moment();
    const record = findSession(account, sid, now);
    if (record?.state !== "live" || record.expiresAtMs <= now.ms) return "session";
    const isCurrent = hash === record.currentHash;
    if (!isCurrent && !isAlias(record, hash, now)) return "session";
    const isRepeated = isSame(record.seat, presented.seat);
    const rotated: SessionRecord = {
      ...record,
      currentHash: hashOf(presented.secret),
      // [§9] an alias used again cancels the secret in between and stays the previous one
      previousHash: hash,
      previousExpiresAtMs: isCurrent ? record.expiresAtMs : record.previousExpiresAtMs,
      provenAtMs: 0,
      expiresAtMs: now.ms + settings.sessionTtlMs,
    };
    if (Object.keys(presented.clientMetadata).length > 0) {
      rotated.clientMetadata = presented.clientMetadata;
    }
    const isAliasUsed = !isCurrent && !isRepeated;
    return claimSeat({ ...call, record: rotated, now, isAliasUsed });
  }

  /** [D20] good until a while after the client has shown that it got the one after it. */
  function isAlias(record: SessionRecord, hash: string, now: Moment): boolean {
    if (hash !== record.previousHash || record.previousExpiresAtMs <= now.ms) return false;
    return record.provenAtMs === 0 || now.ms < record.provenAtMs + settings.aliasGraceMs;
  }

  /** Seats a session, its own place first, else by the rules of the account. */
  function claimSeat(call: {
    readonly tag: string;
    readonly account: Account;
    readonly record: SessionRecord;
    readonly presented: Presented;
    readonly now: Moment;
    readonly isAliasUsed: boolean;
  }): Claim | "limit" | "flapping" | "session" {
    const { account, record, presented, now } = call;
    const { sid, loginGeneration } = record;
    const own = account.seats.get(sid);
    const hasPlace = own !== undefined && own.leaseEndsAtMs > now.ms;
    const others = seated(account, now, sid);
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
    for (const loser of losers) displace(account, loser.sid, now);
    if (losers.length > 0 && settings.flapDisplacementsMax > 0) {
      account.displacedAtMs = [...recentDisplacements(account, now, settings), now.ms];
    }
    sit(account, record, presented, now);
    return toClaim({ ...call, lapsed });
  }

  function sit(account: Account, record: SessionRecord, presented: Presented, now: Moment): void {
    const { sid, loginGeneration } = record;
    account.generation = Math.max(account.generation + 1, now.stamp);
    record.generation = account.generation;
    record.seat = presented.seat;
    record.hasLeft = false;
    record.keptUntilMs = Math.max(record.expiresAtMs, now.ms + 2 * settings.leaseMs);
    account.sessions.set(sid, record);
    account.seats.set(sid, {
      ...{ sid, seat: presented.seat, generation: record.generation, loginGeneration },
      ...{ leaseEndsAtMs: now.ms + settings.firstLeaseMs, isProven: false },
    });
  }

  function displace(account: Account, sid: string, now: Moment): void {
    const record = findSession(account, sid, now);
    if (record) bury(account, record, { now, settings, state: "displaced", reason: "" });
    account.seats.delete(sid);
  }

  function toClaim(call: {
    readonly tag: string;
    readonly account: Account;
    readonly record: SessionRecord;
    readonly presented: Presented;
    readonly now: Moment;
    readonly isAliasUsed: boolean;
    readonly lapsed: readonly LostSeat[];
  }): Claim {
    const { tag, account, record, presented, now, isAliasUsed, lapsed } = call;
    const { sid, displaced, takenOver } = record;
    const session: Session = {
      ...record.identity,
      ...{ seatsMax: account.seatsMax, policy: account.policy, tag, sid },
      ...{ generation: record.generation, loginGeneration: record.loginGeneration },
      ...{ expiresAtMs: record.expiresAtMs, clientMetadata: record.clientMetadata },
      secretHash: record.currentHash,
    };
    const sessionId = formatSessionId({ tag, sid, secret: presented.secret });
    const online = seated(account, now, "").length;
    return { session, sessionId, isAliasUsed, online, displaced, takenOver, lapsed };
  }

  function endAccount(account: Account, reason: string) {
    const now = moment();
    // Revokes every token at once, and every login that the store may have forgotten.
    account.revision = Math.max(account.revision + 1, account.generation, now.stamp);
    account.generation = account.revision;
    return endSessions(
      account,
      [...new Set([...account.sessions.keys(), ...account.seats.keys()])],
      reason,
    );
  }

  function endSessions(account: Account, sids: readonly string[], reason: string) {
    const now = moment();
    const seats: LostSeat[] = [];
    let sessions = 0;
    for (const sid of sids) {
      const held = account.seats.get(sid);
      if (held && held.leaseEndsAtMs > now.ms) seats.push(lost(held));
      account.seats.delete(sid);
      const record = findSession(account, sid, now);
      if (record?.state !== "live") continue;
      sessions++;
      bury(account, record, { now, settings, state: "ended", reason });
    }
    seats.sort((a, b) => a.generation - b.generation || (a.sid < b.sid ? -1 : 1));
    return { sessions, seats };
  }

  /** Looks at a few accounts, the next ones each time, and forgets what has expired. */
  function sweep(now: Moment): void {
    for (let looked = 0; looked < ACCOUNTS_SWEPT_PER_ISSUE; looked++) {
      const next = sweeping.next();
      if (next.done) {
        sweeping = accounts.entries();
        return;
      }
      const [tag, account] = next.value;
      const { tokens, sessions, seats } = account;
      for (const [hash, token] of tokens) if (token.keptUntilMs <= now.ms) tokens.delete(hash);
      for (const [sid, one] of sessions) if (one.keptUntilMs <= now.ms) sessions.delete(sid);
      for (const [sid, seat] of seats) {
        if (seat.leaseEndsAtMs + settings.sessionTtlMs <= now.ms) seats.delete(sid);
      }
      if (tokens.size + sessions.size + seats.size === 0) accounts.delete(tag);
    }
  }
}
