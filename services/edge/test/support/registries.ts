/** Registries that misbehave in one way, around one that does not. */
import { RegistryUnavailable, type SessionRegistry } from "@holdfast/session";
import { createArrivals } from "./arrivals.ts";

/** Cannot be reached while `isAway`. */
export function createUnreachable(registry: SessionRegistry) {
  const switchable = { isAway: true, calls: 0 };
  const guard = <A extends unknown[], R>(call: (...given: A) => Promise<R>) => {
    return async (...given: A): Promise<R> => {
      switchable.calls++;
      if (switchable.isAway) throw new RegistryUnavailable("timeout");
      return call(...given);
    };
  };
  const wrapped: SessionRegistry = {
    ...registry,
    login: guard(registry.login),
    resume: guard(registry.resume),
    leave: guard(registry.leave),
  };
  return { switchable, registry: wrapped };
}

export interface HeldDecision {
  readonly kind: "login" | "resume";
  /** The registry decides now, and keeps its answer back. */
  decide(): Promise<void>;
  /** The node hears the answer; decides first, if that was not done. */
  tell(): Promise<void>;
  /** The node hears this error instead. */
  fail(error: Error): void;
}

/** Logins and resumes wait until the test lets them be decided, and told. */
export function createGated(registry: SessionRegistry) {
  const arrivals = createArrivals<HeldDecision>("a login at the registry");
  const gate = <A extends unknown[], R>(
    kind: HeldDecision["kind"],
    call: (...given: A) => Promise<R>,
  ) => {
    return (...given: A): Promise<R> => {
      const { promise, resolve, reject } = Promise.withResolvers<R>();
      let decision: Promise<R> | null = null;
      const decide = () => (decision ??= call(...given));
      arrivals.put({
        kind,
        decide: async () => void (await decide()),
        tell: async () => resolve(await decide()),
        fail: reject,
      });
      return promise;
    };
  };
  const wrapped: SessionRegistry = {
    ...registry,
    login: gate("login", registry.login),
    resume: gate("resume", registry.resume),
  };
  return { next: arrivals.next, registry: wrapped };
}
