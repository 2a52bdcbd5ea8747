/** A store as the model sees it: registries whose calls go over links, and a clock of its own. */
import type { RegistrySettings, Revocation, SessionRegistry } from "../../src/session.ts";
import { Broken } from "./broken.ts";
import type { Link } from "./link.ts";

/** Small enough that a schedule meets each bound, and with the leases of the product. */
export const modelSettings: RegistrySettings = {
  ...{ sessionTtlMs: 300_000, leaseMs: 45_000, firstLeaseMs: 10_000, renewBelowMs: 41_000 },
  ...{ aliasGraceMs: 30_000, sessionsPerAccountMax: 100 },
  ...{ flapDisplacementsMax: 3, flapWindowMs: 60_000 },
  // A token is presented again by its own client only, which is no thief.
  ...{ theftEnds: false, replayEnds: true, replayGraceMs: 5_000 },
};

/** Nobody in the model has the token of another, so no session may be ended for that. */
export function withoutRevocation<T extends object | string>(answer: T | Revocation): T {
  if (typeof answer === "object" && "refusal" in answer)
    throw new Broken("somebody was taken for a thief");
  return answer as T; // what is left of the two
}

/** A call is given up after so long, and is not run any more. */
export const callTimeoutMs = 900;

export interface ModelStore {
  /** Empty again, and at another time than before. */
  reset(): Promise<void>;
  /** The registry as one node uses it. */
  connect(link: Link): SessionRegistry;
  /** The same, without any link: for looking, and for issuing tokens. */
  readonly direct: SessionRegistry;
  now(): number;
  advance(ms: number): void;
  /** Everything is lost, as by a restart without a disk. */
  lose(): Promise<void>;
  /** What a replica has heard until now. Null: there are no replicas. */
  readonly replica: { copy(): Promise<void>; promote(): Promise<void> } | null;
}

/** The machine was too busy for a call in time: the schedule is played anew. */
export class Stalled extends Error {}
