/**
 * Whether primaries with replicas stop writing when no replica hears them. One that does not goes
 * on in the minority of a split network, and all that it confirms there is lost. [M1]
 */
import type { Redis } from "ioredis";

export interface ReplicaGuard {
  /** Looks now. Never throws; who does not answer counts as before. */
  look(): Promise<void>;
}

/** `primaries`: those of now. `onChange`: how many of them write without any replica. */
export function createReplicaGuard(
  primaries: () => readonly Redis[],
  onChange: (unguarded: number) => void,
): ReplicaGuard {
  let told = 0;

  return {
    async look() {
      const answers = await Promise.allSettled(primaries().map((node) => node.info("replication")));
      if (answers.some(({ status }) => status === "rejected")) return;
      const unguarded = answers.filter((one) => one.status === "fulfilled" && isOpen(one.value));
      if (unguarded.length === told) return;
      told = unguarded.length;
      onChange(told);
    },
  };
}

/** Redis tells of good replicas only where it asks for some before it writes. */
function isOpen(info: string): boolean {
  return info.includes("role:master") && !info.includes("min_slaves_good_slaves:");
}
