/** The registry as the API sees it: every call has a deadline, and is timed and counted. */
import type { Clock } from "@holdfast/runtime";
import type { SessionRegistry } from "@holdfast/session";
import {
  type Identity,
  type IssuedToken,
  type LostSeat,
  RegistryUnavailable,
} from "@holdfast/session";
import { DeadlineExceeded, within } from "./deadline.ts";
import type { DependencyOp, TokenMetrics } from "./metrics.ts";

/** Both throw RegistryUnavailable when the registry cannot say, or not in time. */
export interface Store {
  issue(identity: Identity, ttlMs: number): Promise<IssuedToken>;
  end(account: string): Promise<{ readonly sessions: number; readonly seats: readonly LostSeat[] }>;
}

/** The reason of the Close that the account's connections get. [§8.4] */
export const endedReason = "session ended";

export function createStore(options: {
  readonly registry: SessionRegistry;
  readonly metrics: Pick<TokenMetrics, "dependencyFailed" | "dependencyTook">;
  readonly clock: Clock;
  readonly timeoutMs: number;
}): Store {
  const { registry, metrics, clock, timeoutMs } = options;

  return {
    issue: (identity, ttlMs) => call("issue", registry.issue(identity, ttlMs)),
    end: (account) => call("end", registry.end({ account }, endedReason)),
  };

  async function call<T>(op: DependencyOp, answer: Promise<T>): Promise<T> {
    const startMs = clock.monotonic();
    try {
      return await within({ clock, ms: timeoutMs, what: "the registry" }, answer);
    } catch (error) {
      throw counted(error);
    } finally {
      metrics.dependencyTook(op, clock.monotonic() - startMs);
    }
  }

  function counted(error: unknown): unknown {
    const failure =
      error instanceof DeadlineExceeded
        ? new RegistryUnavailable("timeout", { cause: error })
        : error;
    if (failure instanceof RegistryUnavailable) metrics.dependencyFailed("redis", failure.fault);
    return failure;
  }
}
