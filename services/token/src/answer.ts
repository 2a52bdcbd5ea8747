/**
 * What the API answers: one shape for success and refusal, and one row for every way to refuse.
 * [§8.3]
 */

export interface Answer {
  readonly status: number;
  readonly code: number;
  readonly message: string;
  readonly data: Readonly<Record<string, string | number>> | null;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Numbers and words as on the public platform; 400, 404, 405, 408 and 413 are our own. */
export const refusals = {
  badRequest: { status: 400, code: 400000, message: "bad request", data: null },
  tokenExpired: { status: 401, code: 401003, message: "token expired", data: null },
  tokenInvalid: { status: 401, code: 401004, message: "token invalid", data: null },
  signatureInvalid: { status: 403, code: 403201, message: "signature invalid", data: null },
  keyIllegal: { status: 403, code: 403203, message: "apikey illegal", data: null },
  addressNotAllowed: { status: 403, code: 403205, message: "ip is not allowed", data: null },
  notFound: { status: 404, code: 404000, message: "not found", data: null },
  methodNotAllowed: { status: 405, code: 405000, message: "method not allowed", data: null },
  tooSlow: { status: 408, code: 408000, message: "request timeout", data: null },
  tooLarge: { status: 413, code: 413000, message: "request body too large", data: null },
  addressLimited: { status: 429, code: 429001, message: "ip request ratelimit", data: null },
  keyLimited: { status: 429, code: 429002, message: "api request is limited", data: null },
  internal: { status: 500, code: 500000, message: "internal error", data: null },
  unavailable: { status: 503, code: 503000, message: "service unavailable", data: null },
} as const satisfies Readonly<Record<string, Answer>>;

export function success(data: Readonly<Record<string, string | number>>): Answer {
  return { status: 200, code: 0, message: "success", data };
}

/** Every mistake named, so that a backend's author needs one round. [§8.4] */
export function badRequest(mistakes: readonly string[]): Answer {
  return { ...refusals.badRequest, message: mistakes.join("; ") };
}

export function methodNotAllowed(allow: string): Answer {
  return { ...refusals.methodNotAllowed, headers: { allow } };
}

export function limited(refusal: Answer, waitMs: number): Answer {
  return { ...refusal, headers: { "retry-after": String(Math.max(1, Math.ceil(waitMs / 1000))) } };
}

/** The public clients read `message`, or `msg`, or both. [D28] */
export function toResponse(answer: Answer, traceId: string): Response {
  const { code, message, data } = answer;
  return new Response(JSON.stringify({ code, message, msg: message, data }), {
    status: answer.status,
    headers: {
      "content-type": "application/json; charset=utf-8",
      "cache-control": "no-store",
      "x-trace-id": traceId,
      ...answer.headers,
    },
  });
}
