/** What an operator writes about NATS. */

export interface NatsAddress {
  /** `host:port` each, without passwords: fit for logs. */
  readonly servers: readonly string[];
  /** From `nats://user:password@host`; empty when there is none. */
  readonly user: string;
  readonly password: string;
  /** True when a URL says `tls://`. */
  readonly isTls: boolean;
}

const NATS_PORT = 4222;

/** Reads `nats://a:4222,nats://b:4222`. Throws a sentence that repeats no password. */
export function parseNatsUrls(urls: string): NatsAddress {
  const parsed = urls
    .split(",")
    .map((text) => text.trim())
    .filter((text) => text !== "")
    .map(parseNatsUrl);
  if (parsed.length === 0) throw new Error("Cannot read NATS URLs: there is none");
  const named = parsed.find((url) => url.username !== "");
  return {
    servers: parsed.map((url) => `${url.hostname}:${url.port || NATS_PORT}`),
    user: decode(named?.username ?? ""),
    password: decode(named?.password ?? ""),
    isTls: parsed.some((url) => url.protocol === "tls:"),
  };
}

function parseNatsUrl(text: string, index: number): URL {
  const url = URL.parse(text.includes("://") ? text : `nats://${text}`);
  const isKnown = url?.protocol === "nats:" || url?.protocol === "tls:";
  if (url && isKnown && url.hostname !== "") return url;
  throw new Error(`Cannot read NATS URL ${index + 1}: it must look like nats://host:4222`);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error("Cannot read NATS URLs: a percent sign is not followed by two digits");
  }
}
