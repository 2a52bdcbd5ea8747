/**
 * What the machine can do without us: one script of a login's size on Redis, and one message over
 * NATS between two connections. Measured in turn with what it is held against, in one process.
 */
import { connectNats } from "@holdfast/cluster/nats";
import { connectRedis } from "@holdfast/session/redis";

export interface Yardstick {
  /** Milliseconds, of a script and of a message one way. */
  measure(): Promise<{ readonly scriptMs: number; readonly hopMs: number }>;
  close(): Promise<void>;
}

const source = [
  'local t = redis.call("HGETALL", KEYS[1])',
  'redis.call("HSET", KEYS[1], "a", ARGV[1], "b", ARGV[2])',
  'redis.call("PEXPIRE", KEYS[1], 60000)',
  'redis.call("ZADD", KEYS[2], 1, ARGV[1])',
  'return redis.call("ZCARD", KEYS[2])',
].join("\n");
const bareScript = {
  name: "bare",
  source,
  sha: new Bun.CryptoHasher("sha1").update(source).digest("hex"),
};

export async function openYardstick(urls: {
  readonly redis: string;
  readonly nats: string;
}): Promise<Yardstick> {
  const redis = await connectRedis({ url: urls.redis });
  const natsOptions = { urls: urls.nats, name: "yardstick", startTimeoutMs: 5000 };
  const sender = await connectNats({ ...natsOptions, onFault: () => {} });
  const receiver = await connectNats({ ...natsOptions, onFault: () => {} });
  let arrived: () => void = () => {};
  receiver.client.subscribe("yardstick.hop", { callback: () => arrived() });
  await receiver.ping(1000);
  let round = 0;

  return {
    async measure() {
      round++;
      const keys = [`{yardstick}:a${round % 100}`, "{yardstick}:z"];
      const scriptMs = await timed(() => redis.run(bareScript, keys, [String(round), "x"]));
      const hopMs = await timed(() => {
        const { promise, resolve } = Promise.withResolvers<void>();
        arrived = resolve;
        sender.publish("yardstick.hop", new Uint8Array(120));
        return promise;
      });
      return { scriptMs, hopMs };
    },
    async close() {
      await Promise.all([sender.close(), receiver.close(), redis.close()]);
    },
  };
}

async function timed(act: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await act();
  return performance.now() - startedMs;
}
