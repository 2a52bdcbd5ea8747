/**
 * Is there still life on a connection that has not been closed? Any byte is proof of it; where none
 * comes it is asked for. Silence is counted in looks, not in time: a process that was held up, or
 * stood still itself, has not looked, and takes nobody for dead because of it.
 */

export type PulseChange = "silent" | "heard" | "lost";

export interface Pulse {
  /** To be called at even intervals, never twice in one turn of the event loop. */
  look(bytesRead: number): PulseChange | null;
  /** The connection is away, or another one: what was counted is forgotten. */
  reset(): void;
  readonly isSilent: boolean;
}

export function createPulse(options: {
  /** After so many looks without a byte since it was asked for one, it is silent. */
  readonly silentAfter: number;
  /** After so many it is lost, which is told once. */
  readonly lostAfter: number;
  /** Makes the other side say something. */
  readonly ask: () => void;
}): Pulse {
  const { silentAfter, lostAfter, ask } = options;
  let lastBytes = 0;
  let silentLooks: number | null = null; // null: heard since the last look, so not asked

  return {
    look,
    reset() {
      silentLooks = null;
      lastBytes = 0;
    },
    get isSilent() {
      return isSilent();
    },
  };

  function look(bytesRead: number): PulseChange | null {
    if (bytesRead !== lastBytes) {
      lastBytes = bytesRead;
      const wasSilent = isSilent();
      silentLooks = null;
      return wasSilent ? "heard" : null;
    }
    if (silentLooks === null) {
      silentLooks = 0;
      ask();
      return null;
    }
    silentLooks++;
    if (silentLooks === silentAfter) return "silent";
    return silentLooks === lostAfter ? "lost" : null;
  }

  function isSilent(): boolean {
    return silentLooks !== null && silentLooks >= silentAfter;
  }
}
