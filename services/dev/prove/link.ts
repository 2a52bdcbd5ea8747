/**
 * A wire between two processes that we can cut: a TCP proxy on loopback. It stands for the network
 * of one edge, or of one server; what passes it can be delayed, held back, changed or thrown away.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { freePort } from "@holdfast/servers";

/** "up": from the one who connected to the one who listens; "down": back. */
export type Direction = "up" | "down";

/** Sees the bytes of one direction of one connection, and returns what goes on. */
export type Filter = (bytes: Uint8Array) => Uint8Array;

export interface Link {
  readonly host: string;
  readonly port: number;
  /** Connections that stand now. */
  readonly open: number;
  /** Resets what stands and refuses what comes: the other end is known to be gone. */
  cut(): void;
  /**
   * Nothing passes and nobody is told, as when a cable is pulled; `heal` delivers what waited. With
   * an address: of those who connected from there.
   */
  silence(from?: string): void;
  /** From now on bytes of this direction are taken and lost; `heal` ends that. */
  swallow(direction: Direction): void;
  heal(): void;
  /** Resets what stands; new connections pass. */
  reset(): void;
  /** Ends what stands with a FIN to both sides, behind what has passed; new connections pass. */
  finish(): void;
  /** Each way, from now on: always as long, or drawn for each piece. */
  delay(ms: number | ((bytes: number) => number)): void;
  /** For connections to come: makes a filter for each direction of each of them. */
  filter(make: ((direction: Direction) => Filter) | null): void;
  stop(): Promise<void>;
}

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  /** The near one's address. */
  readonly from: string;
}

/** Where the far end is. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

export async function openLink(to: Address): Promise<Link> {
  const [host, port] = ["127.0.0.1", await freePort()];
  const pairs = new Set<Pair>();
  const waiting = new Map<Socket, string>(); // came while it was silent, from there
  const swallowed = new Set<Direction>();
  let isCut = false;
  let isSilent: (from: string) => boolean = () => false;
  let delayOf: (bytes: number) => number = () => 0;
  let makeFilter: ((direction: Direction) => Filter) | null = null;
  const server = createServer({ allowHalfOpen: true, noDelay: true }, accept);
  await listening(server, host, port);

  return {
    host,
    port,
    get open() {
      return pairs.size;
    },
    cut() {
      isCut = true;
      isSilent = () => false;
      reset();
    },
    silence(address) {
      isCut = false;
      isSilent = (from) => address === undefined || from === address;
      for (const pair of pairs) {
        if (isSilent(pair.from)) for (const socket of [pair.near, pair.far]) socket.pause();
      }
    },
    swallow: (direction) => void swallowed.add(direction),
    heal() {
      isCut = false;
      isSilent = () => false;
      swallowed.clear();
      for (const [near, from] of waiting) join(near, from);
      waiting.clear();
      for (const socket of sockets()) socket.resume();
    },
    reset,
    finish() {
      for (const socket of sockets()) socket.end();
    },
    delay(ms) {
      delayOf = typeof ms === "number" ? () => ms : ms;
    },
    filter(make) {
      makeFilter = make;
    },
    stop() {
      reset();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };

  function sockets(): Socket[] {
    return [...pairs].flatMap(({ near, far }) => [near, far]);
  }

  function reset(): void {
    for (const socket of [...sockets(), ...waiting.keys()]) socket.resetAndDestroy();
    pairs.clear();
    waiting.clear();
  }

  function accept(near: Socket): void {
    near.on("error", () => {}); // its end is seen by "close"
    const from = near.remoteAddress ?? "";
    if (isCut) near.resetAndDestroy();
    else if (isSilent(from)) {
      near.pause();
      waiting.set(near, from);
      near.once("close", () => waiting.delete(near));
    } else join(near, from);
  }

  function join(near: Socket, from: string): void {
    const far = connect({ host: to.host, port: to.port, allowHalfOpen: true, noDelay: true });
    far.on("error", () => {});
    const pair = { near, far, from };
    pairs.add(pair);
    carry(pair, "up");
    carry(pair, "down");
    for (const socket of [near, far]) {
      socket.once("close", () => {
        pairs.delete(pair);
        near.destroy();
        far.destroy();
      });
    }
  }

  function carry(pair: Pair, direction: Direction): void {
    const [from, into] = direction === "up" ? [pair.near, pair.far] : [pair.far, pair.near];
    const filter = makeFilter?.(direction) ?? null;
    const later = createLater();
    from.on("data", (bytes: Uint8Array) => {
      if (swallowed.has(direction)) return;
      const passed = filter === null ? bytes : filter(bytes);
      later(delayOf(passed.length), () => {
        if (into.destroyed || passed.length === 0) return;
        if (into.write(passed)) return;
        from.pause();
        into.once("drain", () => void (isSilent(pair.from) || from.resume()));
      });
    });
    from.on("end", () => later(delayOf(0), () => into.end()));
  }
}

/** Runs what it is given in order, each after its delay. */
function createLater(): (delayMs: number, act: () => void) => void {
  const waiting: { readonly atMs: number; readonly act: () => void }[] = [];
  return (delayMs, act) => {
    // Nothing overtakes what waits, not even when its time has come and its timer is late.
    if (delayMs === 0 && waiting.length === 0) act();
    else {
      waiting.push({ atMs: performance.now() + delayMs, act });
      setTimeout(runDue, delayMs);
    }
  };

  /** There is a timer for each that waits; the last one finds whatever an early one left. */
  function runDue(): void {
    const nowMs = performance.now();
    while (waiting[0] !== undefined && waiting[0].atMs <= nowMs + 1) waiting.shift()?.act();
    if (waiting.length > 0) setTimeout(runDue, Math.max(1, waiting[0]!.atMs - nowMs));
  }
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve());
  });
}
