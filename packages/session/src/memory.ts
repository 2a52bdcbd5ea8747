/**
 * The registry inside one process, for the embedded mode: the nodes of a process share one. Calls
 * never wait for anything, so each is atomic. It keeps the same rules as the Lua scripts, which
 * `agreement.test.ts` compares with it call by call.
 */
import { checkIssue, checkPresented, checkSettings } from "./bounds.ts";
import {
  createSecret,
  formatToken,
  hashOf,
  parseSessionId,
  parseToken,
  tagOf,
} from "./identifiers.ts";
import { keepLatest } from "./latest-holding.ts";
import {
  type Account,
  bury,
  createAccount,
  findSession,
  isSame,
  keep,
  lost,
  type Moment,
  seated,
} from "./memory-account.ts";
import { loginInMemory, resumeInMemory } from "./memory-claim.ts";
import { reapInMemory } from "./memory-reap.ts";
import { renewInMemory } from "./memory-renew.ts";
import {
  defaultRegistrySettings,
  type LostSeat,
  type RegistrySettings,
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
      const online = seated(account, { now }).length;
      return { token: formatToken({ tag, secret }), expiresAtMs: now.ms + ttlMs, online };
    },
    async login(token, presented) {
      checkPresented(presented);
      const parts = parseToken(token);
      const account = parts && accounts.get(parts.tag);
      if (!parts || !account) return "token";
      const { tag, secret } = parts;
      const now = moment();
      return loginInMemory({ tag, account, hash: hashOf(secret), presented, now, settings });
    },
    async resume(sessionId, presented, askedAgoMs = 0) {
      checkPresented(presented);
      const parts = parseSessionId(sessionId);
      const account = parts && accounts.get(parts.tag);
      if (!parts || !account) return "session";
      const { tag, sid, secret } = parts;
      const call = { tag, account, hash: hashOf(secret), presented, now: moment(), settings };
      return resumeInMemory(call, { sid, askedAgoMs });
    },
    async renew(holdings, isHeld = () => true) {
      const now = moment();
      const verdicts = holdings.map((holding, at) => {
        const account = open(holding.session.tag);
        return isHeld(at) ? renewInMemory({ account, holding, now, settings }) : null;
      });
      keepLatest(holdings, verdicts);
      return verdicts;
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
    async seats(account) {
      const known = accounts.get(tagOf(account));
      return known ? seated(known, { now: moment(), oldestBy: "generation" }).map(lost) : [];
    },
    async reap(tag, node, diedAtMs = 0) {
      const account = accounts.get(tag);
      if (!account) return { account: "", lapsed: [], left: 0 };
      return reapInMemory(account, { node, diedAtMs, now: moment(), settings });
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

  function endAccount(account: Account, reason: string) {
    const now = moment();
    // Revokes every token at once, and every login that the store may have forgotten.
    account.revision = Math.max(account.revision + 1, account.generation, now.stamp);
    account.generation = account.revision;
    keep(account, now, settings);
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
      const { tokens } = account;
      for (const [hash, token] of tokens) if (token.keptUntilMs <= now.ms) tokens.delete(hash);
      // Sessions are capped, and go with their account: the next claim must find them all.
      if (tokens.size > 0 || account.keptUntilMs > now.ms) continue;
      accounts.delete(tag);
    }
  }
}
