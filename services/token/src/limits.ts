/** The rates of the API: by address for the public calls, by app or backend key for all. */
import { type Clock, createLimiter } from "@holdfast/runtime";
import type { TokenConfig } from "./config.ts";
import type { LimitScope } from "./metrics.ts";

/** Each says how many milliseconds to wait; zero: come in. */
export interface Limits {
  takeAddress(key: string): number;
  takeApp(key: string): number;
  keys(scope: LimitScope): number;
}

export function createLimits(options: {
  readonly config: TokenConfig;
  readonly clock: Clock;
  readonly onLimited: (scope: LimitScope) => void;
}): Limits {
  const { config, clock, onLimited } = options;
  const keysMax = config.TOKEN_RATE_KEYS_MAX;
  const limiters = {
    ip: createLimiter({
      perSecond: config.TOKEN_ADDRESS_RATE,
      burst: config.TOKEN_ADDRESS_BURST,
      keysMax,
      clock,
    }),
    app: createLimiter({
      perSecond: config.TOKEN_APP_RATE,
      burst: config.TOKEN_APP_BURST,
      keysMax,
      clock,
    }),
  };

  return {
    takeAddress: (key) => take("ip", key),
    takeApp: (key) => take("app", key),
    keys: (scope) => limiters[scope].keys,
  };

  function take(scope: LimitScope, key: string): number {
    const waitMs = limiters[scope].take(key);
    if (waitMs > 0) onLimited(scope);
    return waitMs;
  }
}
