/**
 * One account inside the process: its records, and the rules that look at several of them at once.
 * The same rules stand in prelude.lua; `agreement.test.ts` compares the two call by call.
 */
import { TOKEN_TTL_MS_MAX } from "./bounds.ts";
import type { Identity, LostSeat, Policy, RegistrySettings, Seat } from "./session.ts";

export interface TokenRecord {
  readonly identity: Identity;
  readonly revision: number; // the account's at issue; below the account's now: revoked
  readonly keptUntilMs: number;
  /** Null: unused. Else who used it, and what came of it. */
  used: {
    readonly seat: Seat;
    readonly sid: string;
    outcome: "claimed" | "limit" | "flapping";
  } | null;
}

export interface SessionRecord {
  readonly sid: string;
  readonly identity: Identity;
  clientMetadata: Readonly<Record<string, string>>;
  currentHash: string;
  previousHash: string | null;
  /** Those before, which their client replaced: the last one first, a few. */
  olderHashes: readonly string[];
  /** Cancelled when the previous one was used again, the last one first. */
  beside: readonly { readonly hash: string; readonly expiresAtMs: number }[];
  askedAtMs: number; // when the client asked for the last resume; 0: none
  previousExpiresAtMs: number; // as told with the previous secret
  provenAtMs: number; // 0: the client has not shown yet that it has the current secret
  generation: number;
  readonly loginGeneration: number;
  expiresAtMs: number; // as told to the client
  keptUntilMs: number; // past this the record is absent; a seat keeps it beyond expiresAtMs [D23]
  state: "live" | "displaced" | "ended";
  reason: string;
  seat: Seat; // of the last claim
  hasLeft: boolean; // that seat was given back
  /** What the last claim's seat took from others: a repeated call is told it again. */
  displaced: readonly LostSeat[];
  takenOver: readonly LostSeat[];
}

export interface SeatRecord {
  readonly sid: string;
  readonly seat: Seat;
  readonly generation: number;
  readonly loginGeneration: number;
  leaseEndsAtMs: number;
  isProven: boolean;
}

export interface Account {
  generation: number; // the highest ever given out
  revision: number; // raised by end(account): older tokens are void
  seatsMax: number;
  policy: Policy;
  rulesFrom: number; // the login generation that set seatsMax and policy
  displacedAtMs: readonly number[]; // within the flap window
  keptUntilMs: number;
  readonly tokens: Map<string, TokenRecord>; // by hash
  readonly sessions: Map<string, SessionRecord>; // by sid
  readonly seats: Map<string, SeatRecord>; // by sid; lapsed ones stay until somebody comes by
}

export interface Moment {
  readonly ms: number;
  readonly stamp: number; // the same in microseconds: generations count in these
}

export function createAccount(): Account {
  return {
    ...{ generation: 0, revision: 0, rulesFrom: 0, displacedAtMs: [], keptUntilMs: 0 },
    ...{ seatsMax: 1, policy: "displace" },
    tokens: new Map(),
    sessions: new Map(),
    seats: new Map(),
  };
}

/** Longer than anything that refers to it: a token of before a revocation, a session, a seat. */
export function keep(account: Account, now: Moment, settings: RegistrySettings): void {
  const lifeMs = Math.max(settings.sessionTtlMs, TOKEN_TTL_MS_MAX);
  account.keptUntilMs = Math.max(account.keptUntilMs, now.ms + lifeMs + 2 * settings.leaseMs);
}

export function isSame(one: Seat, other: Seat): boolean {
  return one.connection === other.connection && one.node === other.node;
}

export function lost(of: SeatRecord | SessionRecord): LostSeat {
  return { ...of.seat, sid: of.sid, generation: of.generation };
}

/** Null when there is none, or its time is over. */
export function findSession(account: Account, sid: string, now: Moment): SessionRecord | null {
  const record = account.sessions.get(sid);
  return record && record.keptUntilMs > now.ms ? record : null;
}

/** Seats whose lease still runs, the oldest first; `except` is left out. */
export function seated(
  account: Account,
  options: {
    readonly now: Moment;
    readonly except?: string;
    readonly oldestBy?: "loginGeneration" | "generation";
  },
): SeatRecord[] {
  const { now, except, oldestBy: age = "loginGeneration" } = options;
  return [...account.seats.values()]
    .filter((seat) => seat.sid !== except && seat.leaseEndsAtMs > now.ms)
    .sort((a, b) => a[age] - b[age] || (a.sid < b.sid ? -1 : 1));
}

/** Takes out the seats whose lease has run out, `except` without a word. */
export function dropLapsed(
  account: Account,
  options: { readonly now: Moment; readonly except: string; readonly settings: RegistrySettings },
): LostSeat[] {
  const { now, except, settings } = options;
  const found: SeatRecord[] = [];
  for (const seat of account.seats.values()) {
    if (seat.leaseEndsAtMs > now.ms) continue;
    account.seats.delete(seat.sid);
    // A seat that lapsed a session's life ago is no news to anybody.
    const isNews = seat.leaseEndsAtMs + settings.sessionTtlMs > now.ms;
    if (isNews && seat.sid !== except) found.push(seat);
  }
  return found.sort((a, b) => a.generation - b.generation || (a.sid < b.sid ? -1 : 1)).map(lost);
}

/**
 * Who must go so that a session of this login's age gets a place: the newest logins stay. [D33]
 * "over": the places are all held by newer logins.
 */
export function admit(
  account: Account,
  options: {
    readonly others: readonly SeatRecord[]; // the oldest login first
    readonly loginGeneration: number;
    readonly now: Moment;
    readonly settings: RegistrySettings;
  },
): readonly SeatRecord[] | "limit" | "over" | "flapping" {
  const { others, now, settings } = options;
  const surplus = others.length + 1 - account.seatsMax;
  if (surplus <= 0) return [];
  if (account.policy === "reject") return "limit";
  const youngest = others[surplus - 1]!; // surplus <= others.length, since seatsMax >= 1
  if (youngest.loginGeneration > options.loginGeneration) return "over";
  const recent = recentDisplacements(account, now, settings);
  if (settings.flapDisplacementsMax > 0 && recent.length >= settings.flapDisplacementsMax) {
    return "flapping";
  }
  return others.slice(0, surplus);
}

export function recentDisplacements(
  account: Account,
  now: Moment,
  settings: RegistrySettings,
): readonly number[] {
  return account.displacedAtMs.filter((at) => at + settings.flapWindowMs > now.ms);
}

/** The session is over. Its record stays, since only a positive record closes a connection. */
export function bury(
  account: Account,
  record: SessionRecord,
  options: {
    readonly now: Moment;
    readonly settings: RegistrySettings;
    readonly state: "displaced" | "ended";
    readonly reason: string;
  },
): void {
  account.seats.delete(record.sid);
  record.state = options.state;
  record.reason = options.reason;
  record.hasLeft = true;
  record.keptUntilMs = Math.max(
    record.expiresAtMs,
    options.now.ms + 2 * options.settings.leaseMs, // its node must have the time to ask
  );
}

/** Lost to another session of the account, these are over. [D35] */
export function removeLosers(
  account: Account,
  losers: readonly SeatRecord[],
  now: Moment,
  settings: RegistrySettings,
): void {
  for (const { sid } of losers) {
    const record = findSession(account, sid, now);
    if (record) bury(account, record, { now, settings, state: "displaced", reason: "" });
    account.seats.delete(sid);
  }
}

/** Beyond the cap the oldest go, tombstones first, a seated one never. */
export function capSessions(account: Account, settings: RegistrySettings): void {
  const capacity = Math.max(settings.sessionsPerAccountMax, account.seatsMax);
  let surplus = account.sessions.size - capacity;
  if (surplus <= 0) return;
  const unseated = [...account.sessions.values()]
    .filter((record) => !account.seats.has(record.sid))
    .sort((a, b) => rank(a) - rank(b) || (a.sid < b.sid ? -1 : 1));
  for (const record of unseated) {
    if (surplus-- <= 0) return;
    account.sessions.delete(record.sid);
  }
}

function rank(record: SessionRecord): number {
  return record.state === "live" ? record.generation : record.generation - 1e16;
}
