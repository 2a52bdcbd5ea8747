/**
 * A registry on a real Redis that lives by a clock of the test: only the Lua function that reads
 * the time is another, and each call brings its time along. Keys then expire later than the scripts
 * say, which they must not notice.
 */
import { connectRedis, type RedisConnection, type RedisSettings } from "./redis.ts";
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
    nowMs: () => nowMs,
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

/** The replica of this primary has all that has been written. */
export async function untilReplicated(settings: RedisSettings): Promise<void> {
  const primary = await connectRedis(settings);
  const info = toScript("return redis.call('INFO', 'replication')");
  try {
    for (let tries = 0; tries < 250; tries++) {
      const text = String(await primary.run(info, [], []));
      const offset = /^master_repl_offset:(\d+)/m.exec(text)?.[1];
      if (text.includes(`state=online,offset=${offset},`)) return;
      await Bun.sleep(20);
    }
    throw new Error("Cannot see the replica in step with its primary");
  } finally {
    await primary.close();
  }
}

function throwFault(stage: string, error: unknown): void {
  throw new Error(`Redis failed in ${stage}`, { cause: error });
}
