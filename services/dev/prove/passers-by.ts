/** Strangers of whom each has an address of its own, comes once, and goes. */
import { createConnection } from "node:net";
import { each } from "../test/attack.ts";
import { strangerHello } from "./flood.ts";

const atOnce = 128;
const patienceMs = 10_000;
const perOctet = 256;
/** 127.16.0.0 and up: below live the kit's own, and who else is honest. */
const firstNetwork = 16;

/**
 * By TCP and WebSocket in turn. Resolves with how many had no connection, were not let go, or were
 * told another answer to their upgrade than 101; never rejects. At most 14 million have an address
 * on the loopback.
 */
export async function passBy(urls: readonly string[], count: number): Promise<number> {
  let failed = 0;
  await each(Array.from({ length: count }), atOnce, async (_, index) => {
    const url = new URL(urls[index % urls.length]!); // in bounds by its remainder
    if (!(await pass(url, addressOf(index)))) failed++;
  });
  return failed;
}

function addressOf(index: number): string {
  const [low, middle] = [index % perOctet, Math.floor(index / perOctet)];
  return `127.${firstNetwork + Math.floor(middle / perOctet)}.${middle % perOctet}.${low}`;
}

/** Says hello, and that it has no more to say; the node ends it then. */
function pass(url: URL, localAddress: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = createConnection({ host: url.hostname, port: Number(url.port), localAddress });
  let isServed = url.protocol === "tcp:"; // which is told nothing
  let isFailed = false;
  const timer = setTimeout(() => {
    isFailed = true;
    socket.destroy();
  }, patienceMs);
  socket.on("connect", () => socket.end(strangerHello(url)));
  socket.on("data", (bytes: Uint8Array) => {
    if (new TextDecoder().decode(bytes.subarray(9, 12)) === "101") isServed = true;
  });
  socket.on("error", () => {
    isFailed = true;
  });
  socket.on("close", () => {
    clearTimeout(timer);
    resolve(isServed && !isFailed);
  });
  return promise;
}
