/** What went wrong with Redis, in one of the words that metrics know. */
import { RegistryUnavailable, type StoreFault } from "./session.ts";

const words: readonly (readonly [RegExp, StoreFault])[] = [
  [/timed out|timeout/i, "timeout"],
  [/^READONLY/, "readonly"],
  [/^OOM/, "oom"],
  [/^(LOADING|MASTERDOWN)/, "loading"],
  [/^(CLUSTERDOWN|TRYAGAIN|MOVED|ASK)|too many cluster redirections/i, "clusterdown"],
  [/^NOREPLICAS/, "noreplicas"],
  [
    /ECONN|EPIPE|ENOTFOUND|EHOSTUNREACH|connection is closed|isn't (writeable|ready)|max retries per request|failed to refresh slots|none of startup nodes|all sentinels are unreachable/i,
    "refused",
  ],
];

export function faultOf(error: unknown): StoreFault {
  if (error instanceof RegistryUnavailable) return error.fault;
  const text = error instanceof Error ? error.message : String(error);
  return words.find(([pattern]) => pattern.test(text))?.[1] ?? "other";
}

/** Redis is there, and takes nothing. */
export function isRefusalToWrite(error: unknown): boolean {
  return refusals.includes(faultOf(error));
}

const refusals: readonly StoreFault[] = ["oom", "readonly", "loading", "noreplicas"];

/** A script did not run, since the call had been given up before. */
export class LateCall extends Error {
  constructor() {
    super("Call reached Redis after it had timed out");
    this.name = "LateCall";
  }
}

/** False: Redis has refused it, or it was never sent. Else it may have run, or may run yet. */
export function mayHaveRun(error: unknown): boolean {
  if (!(error instanceof Error)) return true;
  if (error instanceof LateCall) return false;
  return error.name !== "ReplyError" && !/isn't (writeable|ready)/.test(error.message);
}
