/** What an operator writes about NATS, and what we tell them when it does not work. */
import { ErrorCode, NatsError } from "nats";

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
    user: decodeURIComponent(named?.username ?? ""),
    password: decodeURIComponent(named?.password ?? ""),
    isTls: parsed.some((url) => url.protocol === "tls:"),
  };
}

function parseNatsUrl(text: string, index: number): URL {
  const url = URL.parse(text.includes("://") ? text : `nats://${text}`);
  const isKnown = url?.protocol === "nats:" || url?.protocol === "tls:";
  if (url && isKnown && url.hostname !== "") return url;
  throw new Error(`Cannot read NATS URL ${index + 1}: it must look like nats://host:4222`);
}

/** One line for the log of a process that cannot start. */
export function explain(
  error: unknown,
  { timeoutMs, hint }: { readonly timeoutMs: number; readonly hint: string },
): string {
  const code = error instanceof NatsError ? error.code : "";
  switch (code) {
    case ErrorCode.ConnectionRefused:
      return "connection refused";
    case ErrorCode.Timeout:
    case ErrorCode.ConnectionTimeout:
      return `no answer within ${timeoutMs} ms${hint}`;
    case ErrorCode.AuthorizationViolation:
    case ErrorCode.BadAuthentication:
      return "user, password, token or credentials refused";
    case ErrorCode.ServerOptionNotAvailable:
      return "TLS is asked for, and the server offers none";
    default: {
      const message = error instanceof Error ? error.message : String(error);
      return message.replaceAll(/\s+/g, " ").trim() || "no reason given";
    }
  }
}
