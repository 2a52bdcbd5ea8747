/**
 * What the primaries say of themselves: whether one is another Redis than before, and whether those
 * with replicas stop writing when no replica hears them. One that does not goes on in the minority
 * of a split network, and all that it confirms there is lost. [M1] [M3]
 */
import type { Redis } from "ioredis";

export interface PrimaryWatch {
  /** Looks now. Never throws; while one does not answer nothing is said of replicas. */
  look(): Promise<void>;
}

const EPOCHS_MAX = 1_000; // the latest; a Cluster has no more primaries

export function createPrimaryWatch(options: {
  /** Those of now. */
  readonly primaries: () => readonly Redis[];
  /** There are replicas by design: under Sentinel, in a Cluster. */
  readonly isReplicated: boolean;
  /** How many of them write without any replica; told when it changes, at first from 0. */
  readonly onUnguarded: (primaries: number) => void;
  /** One of them has an epoch that was not there at the first look: promoted, or restarted. */
  readonly onEpochChange: () => void;
}): PrimaryWatch {
  const { primaries, isReplicated, onUnguarded, onEpochChange } = options;
  const epochs = new Set<string>();
  let isFirst = true;
  let told = 0;

  return {
    async look() {
      const answers = await Promise.allSettled(primaries().map((node) => node.info("replication")));
      const said = answers.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
      const infos = said.filter((info) => info.includes("role:master"));
      for (const info of infos) noteEpoch(/^master_replid:(\w+)/m.exec(info)?.[1]);
      if (infos.length > 0) isFirst = false;
      if (!isReplicated || infos.length < answers.length) return;
      const unguarded = infos.filter(isUnguarded).length;
      if (unguarded === told) return;
      told = unguarded;
      onUnguarded(told);
    },
  };

  function noteEpoch(epoch: string | undefined): void {
    if (epoch === undefined || epochs.has(epoch)) return;
    epochs.add(epoch);
    for (const oldest of epochs) {
      if (epochs.size <= EPOCHS_MAX) break;
      epochs.delete(oldest);
    }
    if (!isFirst) onEpochChange();
  }
}

/** Redis tells of good replicas only where it asks for some before it writes. */
function isUnguarded(info: string): boolean {
  return !info.includes("min_slaves_good_slaves:");
}
