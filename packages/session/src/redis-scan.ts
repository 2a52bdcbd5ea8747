/** A walk over all keys of all primaries with SCAN: a part of one primary at a time. */
import type { Redis } from "ioredis";

/** Primaries may come and go; the walk then goes on with those there are. */
export function createScan(
  primaries: () => readonly Redis[],
): (pattern: string, count: number) => Promise<readonly string[]> {
  let at = 0; // of the primaries
  let cursor = "0";

  return async (pattern, count) => {
    const nodes = primaries();
    const node = nodes[at % nodes.length];
    if (!node) return [];
    const from = cursor;
    try {
      const [next, keys] = await node.scan(from, "MATCH", pattern, "COUNT", count);
      cursor = next;
      if (next === "0") at = (at + 1) % nodes.length;
      return keys;
    } catch (error) {
      cursor = "0"; // of a primary that may be another by now
      at = (at + 1) % nodes.length;
      throw error;
    }
  };
}
