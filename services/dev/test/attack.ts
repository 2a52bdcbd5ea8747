/** Bare sockets that send what no client would, and note only whether the node let them go. */
import { connect, type Socket } from "node:net";
import { openWire, type Wire } from "@holdfast/client/wire";
import { Command, encodeAuthRequest } from "@holdfast/protocol";

/** A bare TCP connection; reads and throws away whatever comes. */
export function dial(url: string): Socket {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  socket.on("error", () => {}); // being reset is what it came for
  socket.resume();
  return socket;
}

/** Resolves when the node has ended the connection, false when it has not within the deadline. */
export function endOf(socket: Socket, deadlineMs: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), deadlineMs);
  for (const event of ["end", "close"]) socket.once(event, () => resolve(true));
  return promise.finally(() => clearTimeout(timer));
}

/** A logged-in connection, or a stranger's where the token is null. */
export async function enter(url: string, token: string | null, version: 1 | 2): Promise<Wire> {
  const wire = await openWire({ url, version, timeoutMs: 15_000 });
  if (token !== null) {
    await wire.request(Command.auth, encodeAuthRequest({ token, metadata: {} }));
  }
  return wire;
}

/** The same again and again: a node that is busy with the others may say "later". */
export async function enterPatiently(
  url: string,
  token: (() => Promise<string>) | null,
  version: 1 | 2,
): Promise<Wire> {
  const untilMs = performance.now() + patienceMs;
  for (;;) {
    const entering = async () => enter(url, token === null ? null : await token(), version);
    const wire = await entering().catch((error: unknown) => {
      if (performance.now() > untilMs) throw error;
      return null;
    });
    if (wire !== null) return wire;
    await Bun.sleep(200);
  }
}

const patienceMs = 20_000;

/** Runs over all, a few at a time. */
export async function each<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const workers = Array.from({ length: Math.min(atOnce, items.length) }, async () => {
    while (next < items.length) {
      const index = next++;
      await work(items[index]!, index); // in bounds
    }
  });
  await Promise.all(workers);
}

interface Vector {
  readonly hex?: string;
  readonly header_hex?: string;
  readonly push_v1?: string;
  readonly version?: 1 | 2;
}

const files = {
  packets_v1: "packets",
  packets_v2: "packets",
  malformed: "cases",
  streams: "streams",
  limits: "cases",
  close_reasons: "reasons",
} as const;

export interface Sample {
  readonly bytes: Uint8Array;
  readonly version: 1 | 2;
}

/** Every packet of the protocol's vectors, and every header of its limits. */
export async function readSamples(): Promise<readonly Sample[]> {
  const samples: Sample[] = [];
  for (const [file, key] of Object.entries(files)) {
    const url = new URL(`../testdata/${file}.json`, import.meta.resolve("@holdfast/protocol"));
    const content = (await Bun.file(url).json()) as Record<string, readonly Vector[]>;
    for (const vector of content[key] ?? []) {
      const hex = vector.hex ?? vector.header_hex ?? vector.push_v1 ?? "";
      const version = file === "packets_v2" ? 2 : (vector.version ?? 1);
      samples.push({ bytes: Uint8Array.fromHex(hex), version: Number(version) === 2 ? 2 : 1 });
    }
  }
  return samples;
}

/** All beginnings of all samples, without those that only repeat a long body. */
export function truncations(samples: readonly Sample[], bytesMax: number): readonly Sample[] {
  return samples.flatMap(({ bytes, version }) =>
    Array.from({ length: Math.min(bytes.length, bytesMax) }, (_, length) => ({
      bytes: bytes.subarray(0, length),
      version,
    })),
  );
}

/** Some bits turned, some bytes put in, taken out or repeated. */
export function mutate({ bytes, version }: Sample, draw: () => number): Sample {
  const mutant = [...bytes.subarray(0, 4096)];
  const at = () => Math.floor(draw() * (mutant.length + 1));
  for (let times = 1 + Math.floor(draw() * 4); times > 0; times--) {
    const place = at();
    const choice = draw();
    if (choice < 0.5) mutant[place] = (mutant[place] ?? 0) ^ (1 << Math.floor(draw() * 8));
    else if (choice < 0.65) mutant.splice(place, 1);
    else if (choice < 0.8) mutant.splice(place, 0, Math.floor(draw() * 256));
    else if (choice < 0.9) mutant[place] = 0xff;
    else mutant.push(...mutant.slice(place));
  }
  return { bytes: new Uint8Array(mutant.slice(0, 8192)), version };
}
