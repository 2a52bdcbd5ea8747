/** The turn of a drain on Redis: one key for the whole fleet, which ends by itself. */
import type { ScriptRunner } from "./redis-registry.ts";
import type { Script } from "./scripts.ts";
import source from "./turn.lua" with { type: "text" };
import { createTurn, type DrainTurn } from "./turn.ts";

const script: Script = {
  name: "turn",
  source,
  sha: new Bun.CryptoHasher("sha1").update(source).digest("hex"),
};

export function createRedisTurn(options: {
  readonly redis: ScriptRunner;
  readonly prefix?: string;
}): DrainTurn {
  const { redis, prefix = "hf" } = options;
  const ask = async (what: "take" | "give", node: string, holdMs: number) =>
    (await redis.run(script, [`${prefix}:drain-turn`], [what, node, String(holdMs)])) === 1;
  return createTurn({
    take: (node, holdMs) => ask("take", node, holdMs),
    give: async (node) => void (await ask("give", node, 0)),
  });
}
