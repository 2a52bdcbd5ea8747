/**
 * A slow walk over all accounts for seats that nobody gave back: their node died, and nobody has
 * logged in since. One node of the fleet walks at a time, and another when that one has gone.
 */

import { faultOf } from "./faults.ts";
import type { ScriptRunner } from "./redis-registry.ts";
import { turnScript } from "./redis-turn.ts";
import { decodeSweep } from "./replies.ts";
import { loadScripts, type Scripts } from "./scripts.ts";
import { type RegistrySettings, RegistryUnavailable, type TakenSeat } from "./session.ts";

export interface LapsedSeat extends TakenSeat {
  /** Empty when the store has forgotten it; the tag names it all the same. */
  readonly account: string;
  readonly tag: string;
}

export interface LapseSweep {
  /**
   * Looks at the next few accounts, if it is this node that walks. Each lapsed seat is told once.
   * Throws RegistryUnavailable; the walk goes on with the next step.
   */
  step(): Promise<readonly LapsedSeat[]>;
}

/** The next keys of a walk over everything, which begins anew when it is through. */
export interface KeyWalk {
  scan(pattern: string, count: number): Promise<readonly string[]>;
}

const keysPerStep = 1000;
const turnMs = 5_000; // renewed with each step

export function createRedisSweep(options: {
  readonly redis: ScriptRunner & KeyWalk;
  readonly settings: RegistrySettings;
  /** Who walks: a name that no other node has. */
  readonly node: string;
  readonly prefix?: string;
  /** Only a test brings its own. */
  readonly scripts?: Pick<Scripts, "sweep">;
}): LapseSweep {
  const { redis, settings, node, prefix = "hf" } = options;
  const { sweep } = options.scripts ?? loadScripts(settings);
  const seatsKey = new RegExp(`^${prefix}:\\{([A-Za-z0-9_-]{22})\\}:seats$`);

  return {
    async step() {
      try {
        const turn = ["take", node, String(turnMs)];
        if ((await redis.run(turnScript, [`${prefix}:sweep-turn`], turn)) !== 1) return [];
        const keys = await redis.scan(`${prefix}:{*}:seats`, keysPerStep);
        const tags = keys.flatMap((key) => seatsKey.exec(key)?.[1] ?? []);
        const looks = await Promise.allSettled(tags.map(look));
        const [failed] = looks.filter((one) => one.status === "rejected");
        const found = looks.flatMap((one) => (one.status === "fulfilled" ? one.value : []));
        // What was found is dropped from the store, and must be told whatever else failed.
        if (failed && found.length === 0) throw failed.reason;
        return found;
      } catch (error) {
        throw new RegistryUnavailable(faultOf(error), { cause: error });
      }
    },
  };

  async function look(tag: string): Promise<readonly LapsedSeat[]> {
    const reply = await redis.run(
      sweep,
      [`${prefix}:{${tag}}:account`],
      [String(settings.leaseMs)],
    );
    const { account, seats } = decodeSweep(reply);
    return seats.map((seat) => ({ ...seat, account, tag }));
  }
}
