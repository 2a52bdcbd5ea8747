/** What a handler answers, and the message it becomes. */
import { headers as createHeaders, type MsgHdrs } from "nats";
import { writeForm, writeText, writeTopics } from "./headers.ts";

/** Of the wire: 0 success, 3 bad request, 5 unauthenticated, 6 denied, 7 internal error. */
export interface UpstreamReply {
  readonly body?: Uint8Array;
  readonly status?: number; // 0 to 255; default 0
  /** With a status and without a body: what the Error body says. */
  readonly code?: number;
  readonly message?: string;
  /** Version 2 only. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Topics the asking connection joins and leaves before its client has the response. */
  readonly join?: readonly string[];
  readonly leave?: readonly string[];
}

/** Thrown by a handler that wants to refuse: the client gets this status, code and message. */
export class UpstreamFailure extends Error {
  readonly status: number;
  readonly code: number;

  constructor(status: number, code: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "UpstreamFailure";
    this.status = status;
    this.code = code;
  }
}

export interface ReplyMessage {
  readonly body: Uint8Array;
  readonly headers: MsgHdrs | undefined; // undefined: none are needed
}

const nothing = new Uint8Array(0);

/** Throws RangeError for what no edge would accept. */
export function writeReply(answer: Uint8Array | UpstreamReply | undefined): ReplyMessage {
  if (answer === undefined) return { body: nothing, headers: undefined };
  if (answer instanceof Uint8Array) return { body: answer, headers: undefined };
  const { body = nothing, status = 0, code, message, metadata, join, leave } = answer;
  if (!Number.isInteger(status) || status < 0 || status > 255) {
    throw new RangeError(`Cannot answer with status ${status}: it must be 0 to 255`);
  }
  const isError = code !== undefined || message !== undefined;
  if (isError && (status === 0 || body.length > 0)) {
    throw new RangeError("Cannot answer with a code: it needs a status above 0 and no body");
  }
  const headers = createHeaders();
  if (status !== 0) headers.set("Holdfast-Status", String(status));
  if (code !== undefined) headers.set("Holdfast-Code", String(code));
  if (message !== undefined) headers.set("Holdfast-Message", writeText(message));
  if (metadata) headers.set("Holdfast-Metadata", writeForm(metadata));
  if (join?.length) headers.set("Holdfast-Join", writeTopics(join));
  if (leave?.length) headers.set("Holdfast-Leave", writeTopics(leave));
  return { body, headers: headers.keys().length > 0 ? headers : undefined };
}

/** No details: what went wrong inside is not the client's business. */
export function failureOf(error: unknown): UpstreamReply {
  if (!(error instanceof UpstreamFailure)) return internalError;
  return { status: error.status, code: error.code, message: error.message };
}

export const internalError: UpstreamReply = { status: 7, code: 500, message: "internal error" };
export const unavailable: UpstreamReply = { status: 7, code: 503, message: "service unavailable" };
export const tooLarge: UpstreamReply = { status: 7, code: 500, message: "response too large" };
