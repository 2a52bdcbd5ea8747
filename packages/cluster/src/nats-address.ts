/** What we tell an operator when NATS does not work. */
import { ErrorCode, NatsError } from "nats";

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
