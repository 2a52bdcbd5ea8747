/**
 * The real scripts on a real Redis behind links. Only the time that they read is the model's, and
 * the epoch, so that a replica can be promoted without a second process.
 */
import { faultOf, LateCall } from "../../src/faults.ts";
import type { RedisConnection } from "../../src/redis.ts";
import { createRegistryOver, type ScriptRunner } from "../../src/redis-registry.ts";
import { decodeClaim, decodeLate, decodeReap, list, text } from "../../src/replies.ts";
import { loadScripts, type Script, type Scripts } from "../../src/scripts.ts";
import type { SessionRegistry } from "../../src/session.ts";
import type { About, Asked, Link, Seen } from "./link.ts";
import {
  callTimeoutMs,
  type ModelStore,
  modelSettings,
  Stalled,
  withoutRevocation,
} from "./store.ts";

const HOUR_MS = 3_600_000; // ahead of Redis' own time, so that no key expires too early

const clock = `local function clock()
  local ms = tonumber(ARGV[#ARGV])
  return ms, ms * 1000
end`;

const copyOf = { own: "model:", replica: "heard:" };

/** `meddle`: a bug for the model to find, planted in a script's text. */
export async function createRedisStore(
  redis: RedisConnection,
  meddle: (name: string, source: string) => string = (_, source) => source,
): Promise<ModelStore> {
  const scripts = changed(loadScripts(modelSettings, clock), (name, source) =>
    meddle(name, withEpochOfCall(source)),
  );
  redis.preload([...Object.values(scripts), flush, copy]); // ahead of all calls, in their order
  let nowMs = Date.now() + HOUR_MS;
  let epoch = 1;
  const timed: Run = async (script, keys, args) => {
    try {
      return await redis.run(script, keys, [...args, String(epoch), String(nowMs)]);
    } catch (error) {
      if (faultOf(error) === "timeout") throw new Stalled("Redis was kept waiting itself");
      throw error;
    }
  };
  return {
    direct: registryOver({ ...redis, run: timed, lateAfterMs: () => null }, scripts),
    connect: (link) =>
      registryOver(
        overLink(link, timed, () => nowMs),
        scripts,
      ),
    async reset() {
      await redis.run(flush, [], []);
      nowMs = Math.max(nowMs, Date.now()) + HOUR_MS;
    },
    now: () => nowMs,
    advance(ms) {
      nowMs += ms;
    },
    async lose() {
      await redis.run(flush, [], []);
      epoch++;
    },
    replica: {
      copy: async () => void (await redis.run(copy, [], [copyOf.own, copyOf.replica])),
      async promote() {
        await redis.run(copy, [], [copyOf.replica, copyOf.own]);
        epoch++;
      },
    },
  };
}

const flush = toScript("redis.call('FLUSHDB')");

/** All of the one becomes as the other is. */
const copy = toScript(`
for _, key in ipairs(redis.call('KEYS', ARGV[2] .. '*')) do redis.call('DEL', key) end
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
  redis.call('COPY', key, ARGV[2] .. string.sub(key, #ARGV[1] + 1))
end`);

function registryOver(redis: ScriptRunner, scripts: Scripts): SessionRegistry {
  const { firstLeaseMs } = modelSettings;
  const onFault = (stage: string, error: unknown) => {
    const words = error instanceof Error ? error.message : String(error);
    if (!/timed out|is closed|kept waiting/.test(words))
      throw new Error(`${stage} failed`, { cause: error });
  };
  return createRegistryOver({
    redis,
    scripts,
    prefix: copyOf.own.slice(0, -1),
    onFault,
    firstLeaseMs,
  });
}

type Run = (script: Script, keys: readonly string[], args: readonly string[]) => Promise<unknown>;

function overLink(link: Link, timed: Run, now: () => number): ScriptRunner {
  const runOf = (script: Script, keys: readonly string[], args: readonly string[]) => async () => {
    const reply = await timed(script, keys, args);
    return { reply, seen: seenIn(script.name, reply, tagOfKey(keys)) };
  };
  return {
    isCluster: false,
    preload() {},
    async run(script, keys, args) {
      const about = aboutOf(script.name, tagOfKey(keys), args);
      const reply = await link.send(about, runOf(script, keys, args));
      // Else it would be asked again at once: the process' own clock knows nothing of the model's.
      if ((about.kind === "login" || about.kind === "resume") && decodeLate(reply) !== null) {
        throw new LateCall();
      }
      return reply;
    },
    nowMs: now,
    lateAfterMs: () => now() + callTimeoutMs,
    heardTime() {},
  };
}

function tagOfKey(keys: readonly string[]): string {
  return /\{(.*)\}/.exec(keys[0] ?? "")?.[1] ?? "";
}

/** The arguments of the scripts, in the words of the model. */
function aboutOf(name: string, tag: string, args: readonly string[]): About {
  const at = (index: number) => args[index] ?? "";
  const seatAt = (index: number) => ({ node: at(index), connection: at(index + 1) });
  switch (name) {
    case "login":
      return {
        ...{ kind: name, tag, presented: at(0), sid: at(1), secret: at(2) },
        ...{ seat: seatAt(3), askedMs: 0 },
      };
    case "resume":
      return {
        ...{ kind: name, tag, sid: at(0), presented: at(1), secret: at(2) },
        ...{ seat: seatAt(3), askedMs: Number(at(7)) },
      };
    case "renew":
      return { kind: name, asked: askedIn(args) };
    case "restore":
      return { kind: name, asked: [askedAt(args, 0)] };
    case "reap":
      return { kind: name, node: at(0), diedAtMs: Number(at(1)) };
    case "end":
      return { kind: name, sid: at(1), seat: null };
    default:
      return { kind: "leave", sid: at(0), seat: seatAt(1) };
  }
}

function askedIn(args: readonly string[]): Asked[] {
  const asked: Asked[] = [];
  for (let at = 0; at < args.length; ) {
    const count = Number(args[at++]);
    for (let index = 0; index < count; index++, at += 6) asked.push(askedAt(args, at));
  }
  return asked;
}

function askedAt(args: readonly string[], at: number): Asked {
  const [sid = "", node = "", connection = "", generation, proven] = args.slice(at, at + 5);
  const seat = { node, connection };
  return { sid, seat, generation: Number(generation), proven: proven === "1" };
}

function seenIn(name: string, reply: unknown, tag: string): Seen {
  if (name === "login" || name === "resume") {
    return decodeLate(reply) === null ? withoutRevocation(decodeClaim(reply, tag)) : null;
  }
  if (name === "reap") return decodeReap(reply);
  const isVerdict = (word: string) => /^(held|displaced|takenOver|ended|absent)$/.test(word);
  const toVerdict = (word: string) => (isVerdict(word) ? (word as "held") : null); // just checked
  if (name === "restore") return [toVerdict(text(reply))];
  // The last word is that of a fault.
  return name === "renew" ? list(reply).slice(0, -1).map(text).map(toVerdict) : null;
}

/** The epoch comes with the call, as the time does. */
function withEpochOfCall(source: string): string {
  return source.replace(/(local function epoch\(\)\n).*?\nend/s, "$1  return ARGV[#ARGV - 1]\nend");
}

function changed(scripts: Scripts, change: (name: string, source: string) => string): Scripts {
  const entries = Object.entries(scripts).map(([name, { source }]) => [
    name,
    { ...toScript(change(name, source)), name },
  ]);
  return Object.fromEntries(entries) as Scripts; // the same names
}

function toScript(source: string): Script {
  const sha = new Bun.CryptoHasher("sha1").update(source).digest("hex");
  return { name: "model", source, sha };
}
