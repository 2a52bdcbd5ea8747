/**
 * A bad network between clients and edges. In a namespace of its own it is one of packets, which
 * TCP itself has to cope with; elsewhere a proxy that lets bytes wait as retransmissions would.
 */
import { join } from "node:path";
import { isApart } from "../apart.ts";
import { createDraw } from "../draw.ts";
import { type Link, openLink } from "../link.ts";
import type { Conditions } from "./path.ts";

export interface Tally {
  readonly carried: number;
  readonly lost: number;
  readonly doubled: number;
  readonly cut: number;
}

export type WireOrder =
  | { readonly kind: "be"; readonly conditions: Conditions | null; readonly seed: number }
  | { readonly kind: "cut"; readonly addresses: readonly string[] }
  | { readonly kind: "tally" };

export type WireWord =
  | { readonly kind: "open" }
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "tally"; readonly tally: Tally };

export interface BadWire {
  readonly means: "packets" | "proxy";
  /** Where servers listen that are to be reached over the wire. */
  readonly host: string;
  /** The same address over the wire. Each of the lanes can be cut by itself. */
  reach(url: string, lane: number): Promise<string>;
  /** Nothing passes any more, and nobody is told. */
  cut(lane: number): void;
  heal(): void;
  /** Null where there are no packets to count. */
  tally(): Promise<Tally | null>;
  stop(): Promise<void>;
}

/** The range for benchmarks: nobody's network. */
export const near = "198.18.0.1";
const farOf = (lane: number) => `198.18.0.${lane + 2}`;

export function openBadWire(conditions: Conditions, seed: number): Promise<BadWire> {
  return isApart() ? openPackets(conditions, seed) : openProxies(conditions, seed);
}

async function openPackets(conditions: Conditions, seed: number): Promise<BadWire> {
  const words: ((word: WireWord) => void)[] = [];
  const script = join(import.meta.dir, "wire-main.ts");
  const child = Bun.spawn(["setpriv", "--pdeathsig", "KILL", process.execPath, script], {
    stdio: ["ignore", "inherit", "inherit"],
    ipc: (word: WireWord) => words.shift()?.(word),
  });
  const heard = () => {
    const { promise, resolve, reject } = Promise.withResolvers<WireWord>();
    words.push(resolve);
    void child.exited.then(() => reject(new Error("The wire has ended")));
    return promise;
  };
  const order = (one: WireOrder) => child.send(one);
  const opened = await heard();
  if (opened.kind === "refused") throw new Error(opened.why);
  order({ kind: "be", conditions, seed });

  return {
    means: "packets",
    host: "0.0.0.0",
    async reach(url, lane) {
      const far = new URL(url);
      far.hostname = farOf(lane);
      return far.href.replace(/\/$/, "");
    },
    cut: (lane) => order({ kind: "cut", addresses: [farOf(lane)] }),
    heal: () => order({ kind: "cut", addresses: [] }),
    async tally() {
      const told = heard();
      order({ kind: "tally" });
      const word = await told;
      return word.kind === "tally" ? word.tally : null;
    },
    async stop() {
      child.kill();
      await child.exited;
    },
  };
}

async function openProxies(conditions: Conditions, seed: number): Promise<BadWire> {
  const links = new Map<string, { readonly link: Link; readonly lane: number }>();
  const draw = createDraw(seed);
  return {
    means: "proxy",
    host: "127.0.0.1",
    async reach(url, lane) {
      const { protocol, hostname, port } = new URL(url);
      const key = `${lane} ${url}`;
      const known = links.get(key)?.link;
      const link = known ?? (await openLink({ host: hostname, port: Number(port) }));
      links.set(key, { link, lane });
      link.delay((bytes) => waitOf(conditions, bytes, draw));
      return `${protocol}//${link.host}:${link.port}`;
    },
    cut(lane) {
      for (const one of links.values()) if (one.lane === lane) one.link.silence();
    },
    heal() {
      for (const { link } of links.values()) link.heal();
    },
    tally: () => Promise.resolve(null),
    async stop() {
      for (const { link } of links.values()) await link.stop();
    },
  };
}

const segmentBytes = 1448;
const retransmitLeastMs = 200;

/** Each segment that is lost waits for a timer of TCP, and all that follow wait for it. */
function waitOf(conditions: Conditions, bytes: number, draw: () => number): number {
  const { delayMs, jitterMs, loss, bytesPerSecond } = conditions;
  let ms = delayMs + (2 * draw() - 1) * jitterMs + (1000 * bytes) / bytesPerSecond;
  for (let at = 0; at < bytes; at += segmentBytes) {
    let timerMs = retransmitLeastMs + 2 * delayMs;
    for (; draw() < loss; timerMs *= 2) ms += timerMs;
  }
  return ms;
}
