/**
 * What Redis still has of a node that died, and whether anybody walked through all keys to find it.
 * Records of sessions and used tokens name the node of their last claim for as long as they live:
 * they are their account's, and no orphans.
 */
import type { Server } from "@holdfast/servers";
import { askRedis } from "./redis-line.ts";

/** The full name of a node that lives: with the boot id behind the name it is given. */
export async function nodeIdOf(redis: Server, name: string): Promise<string> {
  const ids = await told(
    redis,
    "return table.concat(redis.call('ZRANGE', 'hf:nodes', 0, -1), ' ')",
  );
  const id = ids.find((one) => one.startsWith(`${name}-`));
  if (id === undefined) throw new Error(`Cannot find ${name} among the nodes: ${ids.join(" ")}`);
  return id;
}

/** Keys that are called by it, list it, or hold a seat of its. Walks through all keys itself. */
export async function orphansOf(redis: Server, nodeId: string): Promise<readonly string[]> {
  const lines = [
    `local node, found = '${nodeId}', {}`,
    "for _, key in ipairs(redis.call('KEYS', 'hf:*')) do",
    "local kind, is = redis.call('TYPE', key).ok, string.find(key, node, 1, true)",
    "if kind == 'zset' then is = is or redis.call('ZSCORE', key, node) end",
    "local isSeats = kind == 'hash' and string.sub(key, -6) == ':seats'",
    "for _, seat in ipairs(isSeats and redis.call('HVALS', key) or {}) do",
    "is = is or string.find(seat, ':' .. node .. ':', 1, true) end",
    "if is then found[#found + 1] = key end end",
    "return table.concat(found, ' ')",
  ];
  return told(redis, lines.join(" "));
}

/** How often somebody has asked for keys without knowing them, scripts included. */
export async function scansOf(redis: Server): Promise<number> {
  const text = await askRedis(redis, "INFO commandstats");
  const calls = [...text.matchAll(/^cmdstat_(?:keys|scan|randomkey):calls=(\d+)/gm)];
  return calls.reduce((sum, [, count]) => sum + Number(count), 0);
}

/** The words of a script's answer. */
async function told(redis: Server, script: string): Promise<readonly string[]> {
  const answer = await askRedis(redis, `EVAL "${script}" 0`);
  return (answer.split("\r\n")[1] ?? "").split(" ").filter((word) => word !== "");
}
