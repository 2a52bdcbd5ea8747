/**
 * One URL says where Redis is, whatever its topology:
 *
 *   redis://[user:password@]host[:port][/db]
 *   redis-sentinel://[user:password@]host[:port],host[:port]/primary[/db]
 *   redis-cluster://[user:password@]host[:port],host[:port]
 *
 * and the same with `rediss` for TLS. What stands in user and password is percent-encoded.
 */

export interface RedisPlace {
  readonly kind: "single" | "sentinel" | "cluster";
  readonly isTls: boolean;
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly username: string | null;
  readonly password: string | null;
  readonly primaryName: string; // Sentinel's name for the primary; empty elsewhere
  readonly db: number;
}

const SHAPE =
  /^(redis|rediss)(?:-(sentinel|cluster))?:\/\/(?:([^@/]*)@)?([^@/?#]+)((?:\/[^/?#]*)*)$/;

/** Throws an Error of one line that never shows a password. */
export function parseRedisUrl(url: string): RedisPlace {
  const match = SHAPE.exec(url);
  if (!match) {
    throw new Error(
      "Cannot read the Redis URL: expected redis://, redis-sentinel:// or redis-cluster:// (or rediss)",
    );
  }
  const [, scheme, topology, login, hosts = "", path = ""] = match;
  const kind = topology === "sentinel" || topology === "cluster" ? topology : "single";
  const parts = path.split("/").filter((part) => part !== "");
  const primaryName = kind === "sentinel" ? decode(parts.shift() ?? "") : "";
  if (kind === "sentinel" && primaryName === "") {
    throw new Error("Cannot read the Redis URL: redis-sentinel:// needs /name of the primary");
  }
  if (parts.length > (kind === "cluster" ? 0 : 1)) {
    throw new Error("Cannot read the Redis URL: its path has too many parts");
  }
  const list = hosts.split(",");
  if (kind === "single" && list.length > 1) {
    throw new Error("Cannot read the Redis URL: redis:// takes one host");
  }
  const db = toNumber(parts[0] ?? "0", "the database", 0, 1_000_000);
  const defaultPort = kind === "sentinel" ? 26379 : 6379;
  const toHost = (text: string, index: number) => readHost(text, index + 1, defaultPort);
  return {
    ...{ kind, isTls: scheme === "rediss", hosts: list.map(toHost) },
    ...{ ...toLogin(login), primaryName, db },
  };
}

/** Without user and password, for messages. */
export function describe(place: RedisPlace): string {
  const hosts = place.hosts.map(({ host, port }) => `${host}:${port}`).join(",");
  return place.kind === "sentinel" ? `${place.primaryName} at ${hosts}` : hosts;
}

function toLogin(login: string | undefined): Pick<RedisPlace, "username" | "password"> {
  if (login === undefined) return { username: null, password: null };
  const colon = login.indexOf(":");
  const username = decode(colon < 0 ? login : login.slice(0, colon));
  const password = colon < 0 ? "" : decode(login.slice(colon + 1));
  return { username: username || null, password: password || null };
}

/** Names a host by its number: what is misread as one may be a password with a slash in it. */
function readHost(text: string, number: number, defaultPort: number) {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]\s]+)(?::(\d+))?$/.exec(text);
  if (!match?.[1]) throw new Error(`Cannot read the Redis URL: host ${number} is none; ${encoded}`);
  const host = match[1].replace(/^\[|\]$/g, "");
  return {
    host,
    port: match[2] ? toNumber(match[2], `the port of host ${number}`, 1, 65535) : defaultPort,
  };
}

function toNumber(text: string, what: string, least: number, most: number): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= least && number <= most) return number;
  throw new Error(
    `Cannot read the Redis URL: ${what} must be a number from ${least} to ${most}; ${encoded}`,
  );
}

const encoded = ": / and @ in a password must be percent-encoded";

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error("Cannot read the Redis URL: a percent sign is not followed by two digits");
  }
}
