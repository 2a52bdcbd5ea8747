/**
 * The nouns of the registry and its interface: who may come in, and who sits where.
 * Every implementation obeys the rules written as tests in `contract.ts`.
 */

/** Where a session sits now. A connection id is never used twice, so a seat is its own fence. */
export interface Seat {
  readonly node: string; // [A-Za-z0-9_-]+, name and random boot id
  readonly connection: string; // [A-Za-z0-9_-]+, unique within the node
}

export type Policy = "displace" | "reject";

/** Whose login a token opens, and by which rules. Decided by whoever issued the token. */
export interface Identity {
  readonly account: string; // 1 to 256 bytes of UTF-8
  /** Open connections the account may have; the `limit` of the wire. 1 to 1000. */
  readonly seatsMax: number;
  readonly policy: Policy;
  /** What the issuer says of the account. A client cannot change it. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** A login. It outlives its connection, and keeps its `sid` through every resume. */
export interface Session extends Identity {
  readonly tag: string; // names the account's keys: the hash of the account
  readonly sid: string; // stable, and no secret
  /** Rises with every login and resume of the account; a lower one is older. */
  readonly generation: number;
  /** The generation of its login: its age, which a resume does not change. */
  readonly loginGeneration: number;
  /** Of the secret its client holds; lets a renewal restore a session that the store has lost. */
  readonly secretHash: string;
  readonly expiresAtMs: number; // as told to the client
  /** What the client said of itself in its auth or reconnect. [§7.6] */
  readonly clientMetadata: Readonly<Record<string, string>>;
}

export interface Holding {
  readonly session: Session;
  readonly seat: Seat;
  /** The client has shown that it received its session id: a packet or pong came after it. */
  readonly proven: boolean;
}

/** A seat that is taken, and whose it is. */
export interface TakenSeat extends Seat {
  readonly sid: string;
  readonly generation: number;
}

/** A seat lost by somebody, and whose it was. */
export type LostSeat = TakenSeat;

export interface Claim {
  readonly session: Session;
  /** The session id of the wire: a secret, to be told to this client and to nobody else. */
  readonly sessionId: string;
  /** The id before the last was presented, within its grace: a lost answer, or a stolen id. */
  readonly isAliasUsed: boolean;
  /** Seats of this account, this one included, after any displacement. */
  readonly online: number;
  /** Lost to a newer login: these sessions are over. The caller MUST tell each one's node. */
  readonly displaced: readonly LostSeat[];
  /** The earlier seat of this very session, lost to its resume. The caller MUST tell its node. */
  readonly takenOver: readonly LostSeat[];
  /** Other sessions' seats whose lease had run out, found on the way. */
  readonly lapsed: readonly LostSeat[];
}

/**
 * token: unknown or expired. epoch: issued before a failover or restart of the store. replayed:
 * used by another connection. session: unknown, expired, over, or an id that was cancelled and not
 * used since. stolen: an id that was replaced, and is used again past its grace. overtaken: the
 * same client has asked again since, and was let in; nothing is said of the id. limit: policy
 * reject, no place. flapping: the kick-war breaker. [§7.3] [§7.4]
 */
export type Refusal =
  | "token"
  | "epoch"
  | "replayed"
  | "session"
  | "stolen"
  | "overtaken"
  | "limit"
  | "flapping";

/** A refusal for which, by the settings, a session was ended: two have its credential. */
export interface Revocation {
  readonly refusal: "replayed" | "stolen";
  readonly account: string;
  /** Where the session had a seat, if it had one. The caller MUST tell its node. */
  readonly ended: readonly LostSeat[];
}

/** A missing record is seated again, and "held": absence is not loss. */
export type Verdict = "held" | "displaced" | "takenOver" | "ended";

export interface IssuedToken {
  readonly token: string; // a secret
  readonly expiresAtMs: number;
  /** Open connections of the account, the true number. */
  readonly online: number;
}

export interface Presented {
  readonly seat: Seat;
  /** Made by the node, the same for a repeated call of the same connection and credential. */
  readonly sid: string; // 16 characters of base64url; only a login uses it
  readonly secret: string; // 43 characters of base64url
  /** From the client's request; on resume an empty map keeps the stored one. */
  readonly clientMetadata: Readonly<Record<string, string>>;
}

export interface SessionRegistry {
  /** Lives 1 ms to 24 h. Throws RangeError for an identity or a time out of bounds. */
  issue(identity: Identity, ttlMs: number): Promise<IssuedToken>;
  /**
   * Idempotent for the same token and the same seat. Throws RegistryUnavailable when the store
   * cannot answer in time; the seat has then been given back behind the call.
   */
  login(token: string, presented: Presented): Promise<Claim | Refusal | Revocation>;
  /**
   * As login, for a session id of before. Rotates the secret. `askedAgoMs`: since when the client
   * waits. Of several calls with ids of one session the one that was asked last shall stay, in
   * whatever order they run.
   */
  resume(
    sessionId: string,
    presented: Presented,
    askedAgoMs?: number,
  ): Promise<Claim | Refusal | Revocation>;
  /**
   * One verdict for each holding, in order; null where the store could not say. Never throws.
   * `isHeld` is asked, by position, before each question to the store: a seat that was given back
   * in the meantime must not be put back. It has no verdict.
   */
  renew(
    holdings: readonly Holding[],
    isHeld?: (at: number) => boolean,
  ): Promise<readonly (Verdict | null)[]>;
  /**
   * Gives a seat back; the session stays. Does nothing when the seat is no longer this one's.
   * Throws RegistryUnavailable; it may be called again later, since no seat is used twice.
   */
  leave(holding: Holding): Promise<void>;
  /**
   * The seats of an account whose lease runs, the oldest first. A look that changes nothing: the
   * answer may be old when it arrives. Throws RegistryUnavailable.
   */
  seats(account: string): Promise<readonly TakenSeat[]>;
  /**
   * Drops the lapsed seats that a node, held for dead, had in one account. Each is told to one
   * caller only, who MUST tell others. `diedAtMs`, by the store's clock: known to be dead since
   * then, so that seats go whose lease still runs; none that was taken or renewed later. Throws
   * RegistryUnavailable.
   */
  reap(tag: string, node: string, diedAtMs?: number): Promise<Reaped>;
  /** Ends one session, or all of an account with its unused tokens. Idempotent. */
  end(
    who: { readonly account: string } | { readonly session: Session },
    reason: string,
  ): Promise<{ readonly sessions: number; readonly seats: readonly LostSeat[] }>;
}

export interface Reaped {
  /** Empty when the store has forgotten it; the tag names it all the same. */
  readonly account: string;
  readonly lapsed: readonly LostSeat[];
  /** Seats of that node whose lease still runs. */
  readonly left: number;
}

/** The store did not answer, or not in time: the credentials were not found bad. */
export class RegistryUnavailable extends Error {
  /** A word for `holdfast_dependency_errors_total`. */
  readonly fault: StoreFault;

  constructor(fault: StoreFault, options?: ErrorOptions) {
    super(`Registry did not answer: ${fault}`, options);
    this.name = "RegistryUnavailable";
    this.fault = fault;
  }
}

export type StoreFault =
  | "timeout"
  | "refused"
  | "readonly"
  | "oom"
  | "loading"
  | "clusterdown"
  | "noreplicas"
  | "other";

/** Numbers every implementation is made with; registry.md of the docs says why. */
export interface RegistrySettings {
  readonly sessionTtlMs: number; // default 24 h
  readonly leaseMs: number; // default 45 s
  readonly firstLeaseMs: number; // default 10 s
  /** Renewal writes only where less of the lease is left than this. Default 41 s. */
  readonly renewBelowMs: number;
  readonly aliasGraceMs: number; // default 60 s
  readonly sessionsPerAccountMax: number; // default 100
  /** Displacements of one account within the window, after which it flaps. 0 turns it off. */
  readonly flapDisplacementsMax: number; // default 5
  readonly flapWindowMs: number; // default 60 s
  /** A session is ended when an id of it is used past its grace. Default false. */
  readonly theftEnds: boolean;
  /** A session is ended when the token that opened it is used again. Default true. */
  readonly replayEnds: boolean;
  /**
   * Only so long after its client has shown that it got the answer, or has last resumed: what is
   * used again sooner may be a leftover of its own. Default 5 s.
   */
  readonly replayGraceMs: number;
}

export const defaultRegistrySettings: RegistrySettings = {
  sessionTtlMs: 24 * 60 * 60 * 1000,
  leaseMs: 45_000,
  firstLeaseMs: 10_000,
  renewBelowMs: 41_000,
  aliasGraceMs: 60_000,
  sessionsPerAccountMax: 100,
  flapDisplacementsMax: 5,
  flapWindowMs: 60_000,
  theftEnds: false,
  replayEnds: true,
  replayGraceMs: 5_000,
};
