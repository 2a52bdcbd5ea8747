/** Those who ask, and take nothing: what waits for them is bounded, and so is how long it waits. */
import type { Wire } from "@holdfast/client/wire";
import { encodeRequest } from "@holdfast/protocol";
import { createUpstream } from "@holdfast/upstream";
import { each, enterPatiently } from "../../test/attack.ts";
import {
  type Burden,
  type Ended,
  endOfWire,
  kibibyte,
  mebibyte,
  mute,
  patienceMs,
  type Site,
  slow,
} from "./burden.ts";

interface Deaf {
  readonly account: string;
  readonly wire: Wire;
}

/** Somebody who takes nothing does not see the end: the registry tells who is gone. */
async function deaf(
  site: Site,
  clients: readonly Deaf[],
  boundMs: number,
  press: (client: Deaf, turn: number) => void,
): Promise<readonly Ended[]> {
  const startedMs = performance.now();
  const gone = new Map<Deaf, number>();
  for (const { wire } of clients) wire.pause();
  let lookedMs = startedMs;
  for (let round = 0; gone.size < clients.length; round++) {
    if (performance.now() - startedMs > boundMs + patienceMs) break;
    for (const [index, client] of clients.entries()) {
      if (!gone.has(client)) press(client, round + index);
    }
    await Bun.sleep(5);
    if (performance.now() - lookedMs < 200) continue;
    lookedMs = performance.now();
    const waiting = clients.filter((client) => !gone.has(client));
    await each(waiting, 16, async (client) => {
      const seats = await site.lab.registry.seats(client.account);
      if (seats.length === 0) gone.set(client, performance.now() - startedMs);
    });
  }
  return Promise.all(clients.map((client) => heard(client, gone.get(client) ?? null)));
}

/** What was said to it, once it listens again. */
async function heard({ wire }: Deaf, tookMs: number | null): Promise<Ended> {
  wire.resume();
  const ended = await endOfWire(wire, 0, 0);
  return { told: ended.told, tookMs: tookMs ?? Number.POSITIVE_INFINITY };
}

const deafMs = 30_000; // as fast as they fill the bound
const pingingMs = 3000;
const pushedAtOnce = 5; // a turn takes 5 ms: no more than an upstream of any sense sends

/** In by TCP and WebSocket, each with an account of its own. */
function listeners(
  site: Site,
  name: string,
  count: number,
  urls: readonly string[],
): Promise<readonly Deaf[]> {
  const clients = Array.from({ length: count }, async (_, index) => {
    const account = `${name}-${index}`;
    const url = urls[index % urls.length]!; // there is one at least
    return { account, wire: await enterPatiently(url, () => site.lab.issue(account), 1) };
  });
  return Promise.all(clients);
}

export const deafBurdens: readonly Burden[] = [
  {
    // While they ping they live, and are owed one pong; then they are as silent as others.
    what: "pings whose pongs nobody takes, and silence",
    attackers: { short: 4, long: 16 },
    boundMs: (site) => pingingMs + site.heartbeatTimeoutMs,
    told: mute,
    bytesMax: () => 64 * kibibyte,
    async run(site, count) {
      const payload = new Uint8Array(125);
      const clients = await listeners(site, "pinger", count, [site.ws]);
      const untilMs = performance.now() + pingingMs;
      return deaf(site, clients, pingingMs + site.heartbeatTimeoutMs, ({ wire }) => {
        if (wire.bufferedBytes > mebibyte || performance.now() > untilMs) return;
        for (let sent = 0; sent < 500; sent++) wire.ping(payload);
      });
    },
  },
  {
    what: "answers that nobody takes",
    attackers: { short: 10, long: 100 },
    boundMs: () => deafMs,
    told: slow,
    bytesMax: (site) => 2 * site.outboundBytesMax,
    async run(site, count) {
      const request = encodeRequest(1, 16, 9, 0, noise(32 * kibibyte));
      const clients = await listeners(site, "asker", count, [site.tcp, site.ws]);
      return deaf(site, clients, deafMs, ({ wire }) => {
        if (wire.bufferedBytes < mebibyte) wire.sendBytes(request);
      });
    },
  },
  {
    what: "pushes that nobody takes",
    attackers: { short: 10, long: 100 },
    // A push that does not fit is dropped; who takes none of it does not answer pings either.
    boundMs: (site) => site.heartbeatTimeoutMs,
    told: [...slow, ...mute],
    bytesMax: (site) => 2 * site.outboundBytesMax,
    async run(site, count) {
      const { url } = site.lab.servers.nats[0]!; // there is one
      const upstream = await createUpstream({ nats: { servers: url }, queue: "nobody-takes" });
      const body = noise(64 * kibibyte);
      const clients = await listeners(site, "deaf", count, [site.tcp, site.ws]);
      const turns = Math.ceil(count / pushedAtOnce);
      return deaf(site, clients, site.heartbeatTimeoutMs, ({ account }, turn) => {
        if (turn % turns > 0) return;
        upstream.send.toAccount(account, { command: 77, body });
      }).finally(() => upstream.stop());
    },
  },
];

/** What no compressor makes smaller. */
function noise(bytes: number): Uint8Array {
  const body = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += 65_536) crypto.getRandomValues(body.subarray(at, at + 65_536));
  return body;
}
