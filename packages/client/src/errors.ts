/** What can go wrong for a caller of the client, each kind with its own name. */
import { Status } from "@holdfast/protocol";
import type { Stop } from "./client-interface.ts";
import type { Close } from "./link.ts";

/** The server answered with a status other than 0. [§6] */
export class RequestFailed extends Error {
  readonly status: number;
  /** The server's own number, such as 404; 0 if it gave none. */
  readonly code: number;
  /** The server's word on when another attempt is worth it; null if it gave none. */
  readonly retryAfterMs: number | null;

  constructor(failure: {
    readonly status: number;
    readonly code: number;
    readonly text: string;
    readonly retryAfterMs?: number | undefined;
  }) {
    super(failure.text === "" ? `Request failed with status ${failure.status}` : failure.text);
    this.name = "RequestFailed";
    this.status = failure.status;
    this.code = failure.code;
    this.retryAfterMs = failure.retryAfterMs ?? null;
  }
}

/** No answer came in time. The server may still have done the work. */
export class RequestTimeout extends Error {
  constructor(command: number, timeoutMs: number) {
    super(`No answer to command ${command} within ${timeoutMs} ms`);
    this.name = "RequestTimeout";
  }
}

/** There is no connection, or it was lost before the answer came. */
export class ConnectionLost extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ConnectionLost";
  }
}

/** The client does not connect any more, until it is told to. */
export class ClientStopped extends Error {
  readonly why: Stop["why"];
  /** What the server said, if it was the server. */
  readonly close: Close | null;

  constructor({ why, close }: Stop) {
    super(`Client has stopped: ${why}${close === null ? "" : `, ${close.name} ${close.reason}`}`);
    this.name = "ClientStopped";
    this.why = why;
    this.close = close;
  }
}

/** A WebSocket upgrade was answered with something else than 101. [§4.3] */
export class HttpUpgradeError extends Error {
  readonly status: number;
  readonly body: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(answer: {
    readonly status: number;
    readonly body: string;
    readonly headers: Readonly<Record<string, string>>;
  }) {
    super(`WebSocket upgrade was answered with HTTP ${answer.status}: ${answer.body}`);
    this.name = "HttpUpgradeError";
    this.status = answer.status;
    this.body = answer.body;
    this.headers = answer.headers;
  }
}

/** The token could not be fetched. */
export class TokenError extends Error {
  constructor(cause: unknown) {
    super("Cannot log in: no token could be fetched", { cause });
    this.name = "TokenError";
  }
}

/** True: it could not be done now. Any other refusal would be the same the next time. */
export function isPassing(error: unknown): boolean {
  if (error instanceof RequestFailed) return isPassingStatus(error) || error.code === 429;
  return error instanceof RequestTimeout || error instanceof ConnectionLost;
}

/** What the server said of when to come back, in an answer or in the refusal of an upgrade. */
export function retryAfterOf(error: Error): number {
  if (error instanceof RequestFailed) return error.retryAfterMs ?? 0;
  if (!(error instanceof HttpUpgradeError)) return 0;
  const seconds = error.headers["retry-after"] ?? "";
  return /^\d{1,6}$/.test(seconds) ? Number(seconds) * 1000 : 0;
}

/** The server's own fault, or an upstream that is away or slow. [§6] */
export function isPassingStatus({ status }: RequestFailed): boolean {
  return status === Status.internalError || status === Status.serverTimeout;
}
