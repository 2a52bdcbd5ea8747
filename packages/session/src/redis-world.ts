/**
 * A registry on a real Redis that lives by a clock of the test: only the Lua function that reads
 * the time is another, and each call brings its time along. Keys then expire later than the scripts
 * say, which they must not notice.
 */
import type { RedisConnection } from "./redis.ts";
import { createRedisLedger } from "./redis-ledger.ts";
import { createRegistryOver, type OnFault, type ScriptRunner } from "./redis-registry.ts";
import { loadScripts, type Script } from "./scripts.ts";
import { defaultRegistrySettings, type RegistrySettings } from "./session.ts";

const HOUR_MS = 3_600_000; // ahead of Redis' own time, so that no key expires too early

const clock = `local function clock()
  local ms = tonumber(ARGV[#ARGV])
  return ms, ms * 1000
end`;

let worlds = 0; // each has key names of its own, so one Redis serves many tests

export function createRedisWorld(
  redis: RedisConnection,
  changed: Partial<RegistrySettings> = {},
  onFault: OnFault = throwFault,
) {
  const settings = { ...defaultRegistrySettings, ...changed };
  const prefix = `test-${process.pid}-${++worlds}`;
  let nowMs = Date.now() + HOUR_MS;
  const scripts = loadScripts(settings, clock);
  const timed: ScriptRunner = {
    ...redis,
    run: (script, keys, args) => redis.run(script, keys, [...args, String(nowMs)]),
    lateAfterMs: () => null, // its clock stands still while a call is on its way
  };
  return {
    registry: createRegistryOver({
      redis: timed,
      scripts,
      prefix,
      firstLeaseMs: settings.firstLeaseMs,
      onFault,
    }),
    ledger: createRedisLedger({ redis: timed, settings, prefix, clock, onFault }),
    timed,
    scripts,
    settings,
    prefix,
    now: () => nowMs,
    advance(ms: number) {
      nowMs += ms;
    },
  };
}

/** Any script, for a test that looks or meddles. */
export function toScript(source: string): Script {
  const sha = new Bun.CryptoHasher("sha1").update(source).digest("hex");
  return { name: "test", source, sha };
}

function throwFault(stage: string, error: unknown): void {
  throw new Error(`Redis failed in ${stage}`, { cause: error });
}
