/**
 * A way to Redis that a test can spoil: hold what is sent, keep the answers to itself, or break off
 * in the middle of a call.
 */
import type { Socket } from "bun";
import type { Server } from "./process.ts";

interface Way {
  readonly client: Socket<Way | null>;
  server: Socket<Way> | null;
  readonly held: Uint8Array[]; // not yet sent to Redis, in order
}

export interface RedisProxy extends AsyncDisposable {
  readonly url: string;
  /** What is sent from now on waits for `release`. */
  hold(): void;
  /** Something with these letters in it waits. */
  holds(letters: string): boolean;
  /** Passes on what waited, also of connections that their client has left. */
  release(): void;
  /** From now on answers are thrown away; resolves when Redis has sent one. */
  swallow(): Promise<void>;
  /** All connections end, and answers are passed on again. */
  breakOff(): void;
}

export function startRedisProxy(redis: Server): RedisProxy {
  const ways = new Set<Way>();
  let isHolding = false;
  let swallowed: (() => void) | null = null;

  const listener = Bun.listen<Way | null>({
    ...{ hostname: "127.0.0.1", port: 0, data: null },
    socket: {
      open: (client) => void join(client),
      data(client, chunk) {
        const way = client.data;
        if (way === null) return;
        way.held.push(new Uint8Array(chunk));
        if (!isHolding) flush(way);
      },
      close(client) {
        const way = client.data;
        if (way !== null && way.held.length === 0) way.server?.end();
      },
      error() {},
    },
  });

  return {
    url: `redis://127.0.0.1:${listener.port}`,
    hold() {
      isHolding = true;
    },
    holds: (letters) => [...ways].some(({ held }) => Buffer.concat(held).includes(letters)),
    release() {
      isHolding = false;
      for (const way of ways) flush(way);
    },
    swallow() {
      const { promise, resolve } = Promise.withResolvers<void>();
      swallowed = resolve;
      return promise;
    },
    breakOff() {
      swallowed = null;
      for (const way of ways) {
        way.client.terminate();
        way.server?.terminate();
      }
      ways.clear();
    },
    async [Symbol.asyncDispose]() {
      listener.stop(true);
      for (const way of ways) way.server?.terminate();
    },
  };

  async function join(client: Socket<Way | null>): Promise<void> {
    const way: Way = { client, server: null, held: [] };
    client.data = way;
    ways.add(way);
    const server = await Bun.connect<Way>({
      ...{ hostname: redis.host, port: redis.port, data: way },
      socket: {
        data(_, chunk) {
          if (swallowed === null) client.write(new Uint8Array(chunk));
          else swallowed();
        },
        close: () => void client.end(),
        error() {},
      },
    }).catch(() => null);
    if (server === null) client.end();
    way.server = server;
    if (!isHolding) flush(way);
  }

  /** What a test sends fits into the kernel's buffer. */
  function flush({ server, held }: Way): void {
    if (server === null) return;
    for (const chunk of held.splice(0)) server.write(chunk);
  }
}
