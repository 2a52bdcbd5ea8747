/**
 * Ports of this machine: finding one that nobody uses, and asking who listens on one. Both look at
 * the loopback addresses only. The second reads /proc, so it is for Linux.
 */
import { readdir, readFile, readlink } from "node:fs/promises";

/**
 * Below the range from which Linux picks the local end of outgoing connections (32768 and up): a
 * client that reconnects to a stopped server must not be able to take that server's port, or to
 * meet itself there. The bus port of a Redis Cluster node, 10000 higher, stays below it as well.
 */
const PORT_MIN = 12_000;
const PORT_COUNT = 10_000;
const TRIES_MAX = 100;

/** Asked for several at once, one must not be found twice before somebody listens on it. */
const given = new Set<number>();

/**
 * A port that nobody listened on a moment ago, and that this process has not been given before. It
 * is not reserved: another process may come first.
 */
export function freePort(host = "127.0.0.1"): Promise<number> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const port = PORT_MIN + Math.floor(Math.random() * PORT_COUNT);
    if (given.has(port) || !isFree(host, port)) continue;
    if (given.size > PORT_COUNT / 2) given.clear(); // long ago given back
    given.add(port);
    return Promise.resolve(port);
  }
  return Promise.reject(
    new Error(`Cannot find a free port on ${host}: ${TRIES_MAX} ports tried are taken`),
  );
}

/** True when the process itself listens on the port, not somebody who was there before it. */
export async function isListening(pid: number, port: number): Promise<boolean> {
  const [listeners, held] = await Promise.all([listenerInodes(port), socketInodes(pid)]);
  return held.some((inode) => listeners.has(inode));
}

function isFree(host: string, port: number): boolean {
  try {
    Bun.listen({ hostname: host, port, exclusive: true, socket: { data() {} } }).stop(true);
    return true;
  } catch {
    return false; // taken: the caller tries another
  }
}

async function listenerInodes(port: number): Promise<Set<string>> {
  const inodes = new Set<string>();
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    const text = await readFile(table, "utf8").catch(() => ""); // no IPv6, no second table
    for (const line of text.split("\n").slice(1)) {
      const fields = line.trim().split(/\s+/);
      const isListener = fields[3] === "0A"; // TCP_LISTEN
      if (isListener && fields[1]?.endsWith(suffix) && fields[9]) inodes.add(fields[9]);
    }
  }
  return inodes;
}

async function socketInodes(pid: number): Promise<string[]> {
  const directory = `/proc/${pid}/fd`;
  const names = await readdir(directory).catch(() => []); // the process has gone
  const targets = await Promise.all(
    names.map((name) => readlink(`${directory}/${name}`).catch(() => "")),
  );
  return targets.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []);
}
