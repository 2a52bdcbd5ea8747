/**
 * Logins that are not worth a question to the store: more than an address or an account may try,
 * and session ids that it refused a moment ago. The public Go client asks again with a refused id
 * once a second until the id expires, hours later.
 */
import { type Clock, createLimiter } from "@holdfast/runtime";
import type { AddressLimits } from "./address-limits.ts";
import type { EdgeConfig } from "./config.ts";

export interface LoginLimits {
  /** Milliseconds to wait; 0: it may go on, and has been counted. */
  takeAddress(key: string): number;
  /** The same; the tag stands for the account. */
  takeAccount(tag: string): number;
  /** The store does not know this session id, or not any more. */
  refused(sessionId: string): void;
  /** It was refused so short a time ago that it need not be asked for. */
  isRefused(sessionId: string): boolean;
  readonly accounts: number;
}

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
  /** Until when, the oldest first: all are kept equally long. */
  const refusedUntilMs = new Map<string, number>();

  return {
    takeAddress: addresses.takeLogin,
    takeAccount: accounts.take,
    refused(sessionId) {
      if (refusedSessionMs === 0) return;
      refusedUntilMs.delete(sessionId);
      refusedUntilMs.set(sessionId, clock.monotonic() + refusedSessionMs);
      if (refusedUntilMs.size > keysMax) forgetOldest();
    },
    isRefused(sessionId) {
      if (refusedUntilMs.size === 0) return false;
      forgetPast(clock.monotonic());
      return refusedUntilMs.has(sessionId);
    },
    get accounts() {
      return accounts.keys;
    },
  };

  function forgetPast(nowMs: number): void {
    for (const [sessionId, untilMs] of refusedUntilMs) {
      if (untilMs > nowMs) return;
      refusedUntilMs.delete(sessionId);
    }
  }

  function forgetOldest(): void {
    const oldest = refusedUntilMs.keys().next();
    if (!oldest.done) refusedUntilMs.delete(oldest.value);
  }
}
