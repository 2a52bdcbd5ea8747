/**
 * The registry on Redis: one script and one round trip on one account for each call. What the
 * scripts decide is written in them; this file sends, decodes and gives up in time. It knows no
 * client library: redis.ts lends it a connection.
 */
import { checkIssue, checkPresented } from "./bounds.ts";
import { faultOf } from "./faults.ts";
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
import { createRenewal } from "./redis-renew.ts";
import { decodeClaim, decodeEnd, decodeIssue, decodeReap, decodeSeats } from "./replies.ts";
import type { Script, Scripts } from "./scripts.ts";
import {
  type Claim,
  type Presented,
  type Refusal,
  RegistryUnavailable,
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
  /** At once, behind what was sent before on the same connection; nobody hears what came of it. */
  sendBehind(script: Script, keys: readonly string[], args: readonly string[]): void;
}

export type OnFault = (stage: string, error: unknown) => void;

export function createRegistryOver(options: {
  readonly redis: ScriptRunner;
  readonly scripts: Scripts;
  readonly prefix: string;
  readonly onFault: OnFault;
}): SessionRegistry {
  const { redis, scripts, prefix, onFault } = options;
  if (!/^[A-Za-z0-9_:-]{1,64}$/.test(prefix)) {
    throw new RangeError(`Cannot use ${prefix} as a prefix of keys: letters beyond [A-Za-z0-9_:-]`);
  }
  redis.preload(Object.values(scripts));
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
    async resume(sessionId, presented) {
      checkPresented(presented);
      const parts = parseSessionId(sessionId);
      if (!parts) return "session";
      const { tag, sid } = parts;
      const { seat, secret, clientMetadata } = presented;
      const call = String(++calls);
      const place = [seat.node, seat.connection, call];
      const isKept = Object.keys(clientMetadata).length === 0;
      const metadata = isKept ? "" : JSON.stringify(clientMetadata);
      const args = [sid, hashOf(parts.secret), hashOf(secret), ...place, metadata];
      const behind = [sid, ...place];
      return claim({ script: scripts.resume, tag, presented, args, behind });
    },
    renew: createRenewal({ redis, scripts, accountKey, onFault }),
    async leave({ session, seat }) {
      const args = [session.sid, seat.node, seat.connection, ""];
      await run(scripts.leave, session.tag, args);
    },
    async seats(account) {
      return decodeSeats(await run(scripts.seats, tagOf(account), []));
    },
    async reap(tag, node) {
      // From a ledger, which may be damaged.
      if (!isTag(tag)) return { account: "", lapsed: [], left: 0 };
      return decodeReap(await run(scripts.reap, tag, [node]));
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
  }): Promise<Claim | Refusal> {
    const { tag, presented } = call;
    try {
      const reply = await run(call.script, tag, call.args);
      const claim = decodeClaim(reply, tag);
      if (typeof claim === "string") return claim;
      const { sid } = claim.session;
      return { ...claim, sessionId: formatSessionId({ tag, sid, secret: presented.secret }) };
    } catch (error) {
      // The script still runs when Redis wakes. What it then seats nobody would ever use, so the
      // seat is given back right behind it; later it would be wrong, since the same connection may
      // have asked again. [M4]
      if (faultOf(error) === "timeout") {
        redis.sendBehind(scripts.leave, [accountKey(tag)], call.behind);
      }
      throw error;
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
