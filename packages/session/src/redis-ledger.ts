/** The ledgers of the nodes on Redis: two keys for who lives, and one for each node's accounts. */
import systemClock from "./clock.lua" with { type: "text" };
import { faultOf } from "./faults.ts";
import source from "./ledger.lua" with { type: "text" };
import { type LedgerChange, type NodeLedger, silentNodesMax } from "./ledger.ts";
import type { OnFault, ScriptRunner } from "./redis-registry.ts";
import { list, number, text } from "./replies.ts";
import type { Script } from "./scripts.ts";
import { defaultRegistrySettings, type RegistrySettings, RegistryUnavailable } from "./session.ts";

const TAGS_PER_CALL = 1000; // some 0.5 ms of Redis

export function createRedisLedger(options: {
  readonly redis: ScriptRunner;
  readonly settings?: RegistrySettings;
  readonly prefix?: string;
  readonly onFault?: OnFault;
  /** Lua that defines `clock()`; only a test brings its own. */
  readonly clock?: string;
}): NodeLedger {
  const { redis, settings = defaultRegistrySettings, prefix = "hf", onFault = () => {} } = options;
  const script = toScript(`${options.clock ?? systemClock}\n${source}`);
  // As the seats it tells of: what lapsed longer ago is no news to anybody.
  const keptMs = String(settings.sessionTtlMs + settings.leaseMs);
  redis.preload([script]);

  return {
    async beat(node, silentMs) {
      const args = ["beat", node, String(silentMs), String(silentNodesMax), keptMs];
      const [atMs, silent] = list(await run(nodesKey(), args));
      return { atMs: number(atMs), silent: text(silent).split(",").filter(Boolean) };
    },
    async pulse(node, silentMs) {
      const args = ["beat", node, String(silentMs), String(silentNodesMax), keptMs];
      const [atMs, silent, others, witness] = list(await run(pulsesKey(), args));
      return {
        ...{ atMs: number(atMs), silent: text(silent).split(",").filter(Boolean) },
        ...{ others: number(others), witness: text(witness) || null },
      };
    },
    async claim(node, silentMs) {
      const atMs = number(await run(pulsesKey(), ["claim", node, String(silentMs)]));
      return atMs === 0 ? null : atMs;
    },
    async note(node, change) {
      let count = 0;
      for (const part of partsOf(change)) {
        const args = [String(part.added.length), ...part.added];
        args.push(String(part.removed.length), ...part.removed);
        const isWhole = part.isWhole ? "1" : "0";
        count = number(await run(ledgerKey(node), ["note", keptMs, isWhole, ...args]));
      }
      return count;
    },
    async draw(node, count) {
      return list(await run(ledgerKey(node), ["draw", String(count)])).map(text);
    },
    async forget(node, silentMs) {
      // It may come back in between: then it finds its ledger too small, and writes it anew.
      const isGone = await run(nodesKey(), ["forget", node, String(silentMs)]);
      if (isGone !== 1) return;
      await run(ledgerKey(node), ["drop"]);
      await run(pulsesKey(), ["forget", node, String(silentMs)]);
    },
  };

  function nodesKey(): string {
    return `${prefix}:nodes`;
  }

  function pulsesKey(): string {
    return `${prefix}:pulses`;
  }

  function ledgerKey(node: string): string {
    return `${prefix}:ledger:${node}`;
  }

  async function run(key: string, args: readonly string[]): Promise<unknown> {
    try {
      return await redis.run(script, [key], args);
    } catch (error) {
      onFault("ledger", error);
      throw new RegistryUnavailable(faultOf(error), { cause: error });
    }
  }
}

/** Of at most a thousand tags each; at least one, since even no change keeps the ledger. */
function partsOf({ added, removed, isWhole = false }: LedgerChange): LedgerChange[] {
  const parts: LedgerChange[] = [];
  for (let at = 0; at < added.length; at += TAGS_PER_CALL) {
    parts.push({ added: added.slice(at, at + TAGS_PER_CALL), removed: [] });
  }
  for (let at = 0; at < removed.length; at += TAGS_PER_CALL) {
    parts.push({ added: [], removed: removed.slice(at, at + TAGS_PER_CALL) });
  }
  const [first = { added: [], removed: [] }, ...rest] = parts;
  return [{ ...first, isWhole }, ...rest];
}

function toScript(text: string): Script {
  const sha = new Bun.CryptoHasher("sha1").update(text).digest("hex");
  return { name: "ledger", source: text, sha };
}
