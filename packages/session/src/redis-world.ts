/**
 * A registry on a real Redis that lives by a clock of the test: only the Lua function that reads
 * the time is another. Keys then expire later than the scripts say, which they must not notice.
 */
import type { RedisConnection } from "./redis.ts";
import { createRegistryOver, type OnFault } from "./redis-registry.ts";
import { loadScripts, type Script } from "./scripts.ts";
import { defaultRegistrySettings, type RegistrySettings } from "./session.ts";

const HOUR_MS = 3_600_000; // ahead of Redis' own time, so that no key expires too early

let worlds = 0; // each has key names of its own, so one Redis serves many tests

export async function createRedisWorld(
  redis: RedisConnection,
  changed: Partial<RegistrySettings> = {},
  onFault: OnFault = throwFault,
) {
  const settings = { ...defaultRegistrySettings, ...changed };
  const prefix = `test-${process.pid}-${++worlds}`;
  const clockKey = `${prefix}:clock`;
  const clock = `local function clock()
    local ms = tonumber(redis.call('GET', '${clockKey}'))
    return ms, ms * 1000
  end`;
  const scripts = loadScripts(settings, clock);
  let nowMs = Date.now() + HOUR_MS;
  await redis.run(setScript, [clockKey], [String(nowMs)]);
  return {
    registry: createRegistryOver({ redis, scripts, prefix, onFault }),
    settings,
    prefix,
    now: () => nowMs,
    async advance(ms: number) {
      nowMs += ms;
      await redis.run(setScript, [clockKey], [String(nowMs)]);
    },
  };
}

export const setScript = toScript("return redis.call('SET', KEYS[1], ARGV[1])");

/** Any script, for a test that looks or meddles. */
export function toScript(source: string): Script {
  const sha = new Bun.CryptoHasher("sha1").update(source).digest("hex");
  return { name: "test", source, sha };
}

function throwFault(stage: string, error: unknown): void {
  throw new Error(`Redis failed in ${stage}`, { cause: error });
}
