/**
 * The registry on Redis: one script and one round trip on one account for each call. What the
 * scripts decide is written in them; this file sends, decodes and gives up in time. It knows no
 * client library: redis.ts lends it a connection.
 */
import { checkIssue, checkPresented } from "./bounds.ts";
import { faultOf, LateCall, mayHaveRun } from "./faults.ts";
import {
  createSecret,
  formatSessionId,
  formatToken,
  hashOf,
  isTag,
  parseSessionId,
  parseToken,
  tagOf,
} from "./identifiers.ts";
import { createOwedLeaves } from "./redis-owed.ts";
import { createRenewal } from "./redis-renew.ts";
import {
  decodeClaim,
  decodeEnd,
  decodeIssue,
  decodeLate,
  decodeReap,
  decodeSeats,
} from "./replies.ts";
import type { Script, Scripts } from "./scripts.ts";
import {
  type Claim,
  type Presented,
  type Refusal,
  RegistryUnavailable,
  type Revocation,
  type SessionRegistry,
} from "./session.ts";

/** A way to run scripts on a Redis, whatever its topology. */
export interface ScriptRunner {
  /** True: scripts over several accounts cannot run, since each lives in a slot of its own. */
  readonly isCluster: boolean;
  /** Rejects within a second. The script may run all the same, and later. */
  run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown>;
  /** Keeps them in every node's cache, also of nodes that come later. Only saves time. */
  preload(scripts: readonly Script[]): void;
  /**
   * The time of Redis, milliseconds since 1970, after which a call that is made now was given up
   * for sure; null while it is not known. Never too early, unless a clock has jumped.
   */
  lateAfterMs(): number | null;
  /** The time of Redis now, as late as it may be; null while it is not known. */
  nowMs(): number | null;
  /** A script told its time, milliseconds since 1970, in a call that was made at `askedMs`. */
  heardTime(timeMs: number, askedMs: number): void;
}

/** All in all a call must end within a second: one more may start only so long after the first. */
const ASK_AGAIN_MS_MAX = 90;

export type OnFault = (stage: string, error: unknown) => void;

export function createRegistryOver(options: {
  readonly redis: ScriptRunner;
  readonly scripts: Scripts;
  readonly prefix: string;
  readonly firstLeaseMs: number;
  readonly onFault: OnFault;
  readonly onRestored?: () => void;
}): SessionRegistry {
  const { redis, scripts, prefix, firstLeaseMs, onFault, onRestored = () => {} } = options;
  if (!/^[A-Za-z0-9_:-]{1,64}$/.test(prefix)) {
    throw new RangeError(`Cannot use ${prefix} as a prefix of keys: letters beyond [A-Za-z0-9_:-]`);
  }
  redis.preload(Object.values(scripts));
  const owed = createOwedLeaves({ redis, leave: scripts.leave, validMs: firstLeaseMs, onFault });
  let calls = 0; // of this process; a later call of the same connection has a higher number

  return {
    async issue(identity, ttlMs) {
      checkIssue(identity, ttlMs);
      const { account, seatsMax, policy, metadata } = identity;
      const tag = tagOf(account);
      const secret = createSecret();
      const about = [account, String(seatsMax), policy, JSON.stringify(metadata)];
      const reply = await run(scripts.issue, tag, [hashOf(secret), ...about, String(ttlMs)]);
      return { token: formatToken({ tag, secret }), ...decodeIssue(reply) };
    },
    async login(token, presented) {
      checkPresented(presented);
      const parts = parseToken(token);
      if (!parts) return "token";
      const { seat, sid, secret } = presented;
      const call = String(++calls);
      const place = [seat.node, seat.connection, call];
      const metadata = JSON.stringify(presented.clientMetadata);
      const args = [hashOf(parts.secret), sid, hashOf(secret), ...place, metadata];
      const behind = [sid, ...place];
      return claim({ script: scripts.login, tag: parts.tag, presented, args, behind });
    },
    async resume(sessionId, presented, askedAgoMs = 0) {
      checkPresented(presented);
      const parts = parseSessionId(sessionId);
      if (!parts) return "session";
      const { tag, sid } = parts;
      const { seat, secret, clientMetadata } = presented;
      const call = String(++calls);
      const place = [seat.node, seat.connection, call];
      const isKept = Object.keys(clientMetadata).length === 0;
      const metadata = isKept ? "" : JSON.stringify(clientMetadata);
      const nowMs = redis.nowMs();
      const asked = nowMs === null ? "" : String(Math.ceil(nowMs - askedAgoMs));
      const args = [sid, hashOf(parts.secret), hashOf(secret), ...place, metadata, asked];
      const behind = [sid, ...place];
      return claim({ script: scripts.resume, tag, presented, args, behind });
    },
    renew: createRenewal({ redis, scripts, accountKey, onFault, onRestored }),
    async leave({ session, seat }) {
      const args = [session.sid, seat.node, seat.connection, ""];
      await run(scripts.leave, session.tag, args);
    },
    async seats(account) {
      return decodeSeats(await run(scripts.seats, tagOf(account), []));
    },
    async reap(tag, node, diedAtMs = 0) {
      // From a ledger, which may be damaged.
      if (!isTag(tag)) return { account: "", lapsed: [], left: 0 };
      const reaped = decodeReap(await run(scripts.reap, tag, [node, String(diedAtMs)]));
      return tagOf(reaped.account) === tag ? reaped : { ...reaped, account: "" };
    },
    async end(who, reason) {
      const tag = "account" in who ? tagOf(who.account) : who.session.tag;
      const sid = "account" in who ? "" : who.session.sid;
      return decodeEnd(await run(scripts.end, tag, [reason, sid]));
    },
  };

  function accountKey(tag: string): string {
    return `${prefix}:{${tag}}:account`;
  }

  async function claim(call: {
    readonly script: Script;
    readonly tag: string;
    readonly presented: Presented;
    readonly args: readonly string[];
    readonly behind: readonly string[];
  }): Promise<Claim | Refusal | Revocation> {
    const { tag, presented } = call;
    try {
      const reply = await askInTime(call.script, tag, call.args);
      const claim = decodeClaim(reply, tag);
      if (typeof claim === "string" || "refusal" in claim) return claim;
      const { sid, account } = claim.session;
      if (tagOf(account) !== tag) return await another(call.script, tag, sid);
      return { ...claim, sessionId: formatSessionId({ tag, sid, secret: presented.secret }) };
    } catch (error) {
      // It may have run, or may still when Redis wakes, and what it seats nobody would ever use.
      // The same connection may ask again before the leave gets there: that is what the number of
      // the call is for. [M4]
      const cause = error instanceof RegistryUnavailable ? error.cause : error;
      if (mayHaveRun(cause)) owed.owe(accountKey(tag), call.behind);
      throw error;
    }
  }

  /**
   * The keys of this account name another: they were damaged, or somebody else writes to them.
   * Nobody is let in as somebody else; its session is over, and costs its client a token.
   */
  async function another(script: Script, tag: string, sid: string): Promise<"token" | "session"> {
    onFault(script.name, new Error("Cannot let in: the record is of another account"));
    await run(scripts.end, tag, ["damaged", sid]);
    return script === scripts.login ? "token" : "session";
  }

  /**
   * The script refuses to run once this call was given up. If it says so while there is time left,
   * a clock has jumped or another Redis has taken over: the answer told its time, so ask again.
   */
  async function askInTime(script: Script, tag: string, args: readonly string[]): Promise<unknown> {
    const startedMs = performance.now();
    for (let tries = 1; ; tries++) {
      const askedMs = performance.now();
      const lateAfterMs = redis.lateAfterMs();
      const until = lateAfterMs === null ? "" : String(Math.ceil(lateAfterMs));
      const reply = await run(script, tag, [...args, until]);
      const timeMs = decodeLate(reply);
      if (timeMs === null) return reply;
      redis.heardTime(timeMs, askedMs);
      if (tries < 2 && performance.now() - startedMs < ASK_AGAIN_MS_MAX) continue;
      const cause = new LateCall();
      onFault(script.name, cause);
      throw new RegistryUnavailable("timeout", { cause });
    }
  }

  async function run(script: Script, tag: string, args: readonly string[]): Promise<unknown> {
    try {
      return await redis.run(script, [accountKey(tag)], args);
    } catch (error) {
      onFault(script.name, error);
      throw new RegistryUnavailable(faultOf(error), { cause: error });
    }
  }
}
