/**
 * Logins that are not worth a question to the store: more than an address or an account may try,
 * and session ids that it refused a moment ago. The public Go client asks again with a refused id
 * once a second until the id expires, hours later.
 */
import { type Clock, createLimiter } from "@holdfast/runtime";
import type { Refusal } from "@holdfast/session";
import type { AddressLimits } from "./address-limits.ts";
import type { EdgeConfig } from "./config.ts";

export interface LoginLimits {
  /** Milliseconds to wait; 0: it may go on, and has been counted. */
  takeAddress(key: string): number;
  /** The same; the tag stands for the account. */
  takeAccount(tag: string): number;
  /** The store does not know this session id, or not any more. */
  refused(sessionId: string, why: IdRefusal): void;
  /** Why it was refused so short a time ago that it need not be asked for; null: it was not. */
  refusalOf(sessionId: string): IdRefusal | null;
  readonly accounts: number;
}

export type IdRefusal = Extract<Refusal, "session" | "stolen">;

type LoginSettings = Pick<
  EdgeConfig,
  "accountLoginRate" | "accountLoginBurst" | "refusedSessionMs" | "rateKeysMax"
>;

export function createLoginLimits(
  settings: LoginSettings,
  addresses: Pick<AddressLimits, "takeLogin">,
  clock: Clock,
): LoginLimits {
  const { refusedSessionMs, rateKeysMax: keysMax } = settings;
  const accounts = createLimiter({
    ...{ perSecond: settings.accountLoginRate, burst: settings.accountLoginBurst },
    ...{ keysMax, clock },
  });
  /** The oldest first: all are kept equally long. */
  const refusals = new Map<string, { readonly why: IdRefusal; readonly untilMs: number }>();

  return {
    takeAddress: addresses.takeLogin,
    takeAccount: accounts.take,
    refused(sessionId, why) {
      if (refusedSessionMs === 0) return;
      refusals.delete(sessionId);
      refusals.set(sessionId, { why, untilMs: clock.monotonic() + refusedSessionMs });
      if (refusals.size > keysMax) forgetOldest();
    },
    refusalOf(sessionId) {
      if (refusals.size === 0) return null;
      forgetPast(clock.monotonic());
      return refusals.get(sessionId)?.why ?? null;
    },
    get accounts() {
      return accounts.keys;
    },
  };

  function forgetPast(nowMs: number): void {
    for (const [sessionId, { untilMs }] of refusals) {
      if (untilMs > nowMs) return;
      refusals.delete(sessionId);
    }
  }

  function forgetOldest(): void {
    const oldest = refusals.keys().next();
    if (!oldest.done) refusals.delete(oldest.value);
  }
}
