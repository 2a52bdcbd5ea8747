/** Those who do nothing, or do it byte by byte: the deadlines of the node end them. */
import type { Wire } from "@holdfast/client/wire";
import { encodeTcpHandshake } from "@holdfast/protocol";
import { dial } from "../../test/attack.ts";
import {
  all,
  announcing,
  type Burden,
  come,
  type Ended,
  endOfWire,
  kibibyte,
  late,
  mebibyte,
  mute,
  patienceMs,
  type Site,
  strangerBytes,
} from "./burden.ts";

const hello = encodeTcpHandshake({ version: 1, codec: 1, platform: 9 });

export const silentBurdens: readonly Burden[] = [
  {
    what: "TCP without a handshake",
    isSlow: true,
    attackers: { short: 1000, long: 10_000 },
    boundMs: (site) => site.handshakeTimeoutMs,
    told: ["nothing"],
    bytesMax: strangerBytes,
    run: (site, count) => all(site, count, () => wait(site.tcp, "", site.handshakeTimeoutMs)),
  },
  {
    what: "half a handshake",
    isSlow: true,
    attackers: { short: 100, long: 1000 },
    boundMs: (site) => site.handshakeTimeoutMs,
    told: ["nothing"],
    bytesMax: strangerBytes,
    run: (site, count) =>
      all(site, count, () => wait(site.tcp, hello.subarray(0, 1), site.handshakeTimeoutMs)),
  },
  {
    what: "silence after the handshake, TCP and WebSocket",
    isSlow: true,
    attackers: { short: 400, long: 2000 },
    boundMs: (site) => site.authTimeoutMs,
    told: late,
    bytesMax: strangerBytes,
    run: (site, count) =>
      all(site, count, async (index) => {
        const wire = await come(site, index % 2 === 0 ? site.tcp : site.ws, "stranger", index);
        return endOfWire(wire, performance.now(), site.authTimeoutMs);
      }),
  },
  {
    what: "HTTP headers that do not end",
    isSlow: true,
    attackers: { short: 100, long: 1000 },
    boundMs: (site) => site.handshakeTimeoutMs,
    told: ["bytes"], // 408
    bytesMax: () => 32 * kibibyte,
    run(site, count) {
      const half = "GET /v2 HTTP/1.1\r\nHost: x\r\nX-a: ";
      return all(site, count, () => wait(site.ws, half, site.handshakeTimeoutMs, site.dripMs));
    },
  },
  {
    what: "WebSocket without an upgrade",
    isSlow: true,
    attackers: { short: 400, long: 2000 },
    boundMs: (site) => site.handshakeTimeoutMs,
    told: ["nothing"],
    bytesMax: strangerBytes,
    run: (site, count) => all(site, count, () => wait(site.ws, "", site.handshakeTimeoutMs)),
  },
];

export const drippingBurdens: readonly Burden[] = [
  {
    what: "a body before login, byte by byte",
    isSlow: true,
    attackers: { short: 100, long: 500 },
    boundMs: (site) => site.authTimeoutMs,
    told: late,
    bytesMax: strangerBytes,
    run: (site, count) =>
      all(site, count, async (index) => {
        const wire = await come(site, site.tcp, "stranger", index);
        return drip(site, wire, 60_000, site.authTimeoutMs);
      }),
  },
  {
    what: "a body after login, byte by byte",
    isSlow: true,
    attackers: { short: 100, long: 500 },
    boundMs: (site) => site.heartbeatTimeoutMs,
    told: mute,
    bytesMax: () => 32 * kibibyte,
    run: (site, count) =>
      all(site, count, async (index) => {
        const wire = await come(site, site.tcp, "known", index);
        return drip(site, wire, mebibyte, site.heartbeatTimeoutMs);
      }),
  },
  {
    what: "1 MiB announced after login, and silence",
    isSlow: true,
    attackers: { short: 200, long: 1000 },
    boundMs: (site) => site.heartbeatTimeoutMs,
    told: mute,
    bytesMax: () => 32 * kibibyte,
    run: (site, count) =>
      all(site, count, async (index) => {
        const wire = await come(site, site.tcp, "known", index);
        const startedMs = performance.now();
        wire.sendBytes(announcing(mebibyte));
        return endOfWire(wire, startedMs, site.heartbeatTimeoutMs);
      }),
  },
];

/** A bare socket that sends this, then a letter now and then if it drips, and waits. */
function wait(
  url: string,
  first: Uint8Array | string,
  boundMs: number,
  dripMs: number | null = null,
): Promise<Ended> {
  const { promise, resolve } = Promise.withResolvers<Ended>();
  const socket = dial(url);
  let startedMs = performance.now();
  let bytes = 0;
  const timer = setTimeout(() => end(Number.POSITIVE_INFINITY), boundMs + patienceMs);
  const drips = dripMs === null ? undefined : setInterval(() => void socket.write("a"), dripMs);
  const end = (tookMs: number) => {
    clearTimeout(timer);
    clearInterval(drips);
    socket.destroy();
    resolve({ tookMs, told: bytes === 0 ? "nothing" : "bytes" });
  };
  socket.once("connect", () => {
    startedMs = performance.now();
    if (first.length > 0) socket.write(first);
  });
  socket.on("data", (chunk: Uint8Array) => {
    bytes += chunk.length;
  });
  for (const event of ["end", "close"]) {
    socket.once(event, () => end(performance.now() - startedMs));
  }
  return promise;
}

async function drip(site: Site, wire: Wire, bodyBytes: number, boundMs: number): Promise<Ended> {
  const startedMs = performance.now();
  wire.sendBytes(announcing(bodyBytes));
  const timer = setInterval(() => wire.sendBytes(Uint8Array.of(0x61)), site.dripMs);
  return endOfWire(wire, startedMs, boundMs).finally(() => clearInterval(timer));
}
