/** The first exchange on a connection: Reconnect if there is a session, else Auth. [§7.3] [§7.4] */
import {
  type AuthResponseBody,
  Command,
  decodeAuthResponse,
  decodeErrorBody,
  encodeAuthRequest,
  encodeReconnectRequest,
  type LoginMetadata,
  type Response,
  Status,
} from "@holdfast/protocol";
import { isPassing, RequestFailed, TokenError } from "./errors.ts";
import type { Link } from "./link.ts";
import type { FetchToken, Session } from "./options.ts";

export interface LoginOptions {
  readonly link: Link;
  /** Null, or expired: Auth. */
  readonly session: Session | null;
  readonly token: FetchToken;
  readonly metadata: LoginMetadata;
  readonly timeoutMs: number;
  /** The server does not know the session any more. */
  readonly onForgotten: () => void;
  /** Called before anything that came behind the response is read. */
  readonly onAccepted: (body: AuthResponseBody, isResumed: boolean) => void;
}

/** Rejects with RequestFailed, TokenError, or what `Link.request` rejects with. */
export async function logIn(options: LoginOptions): Promise<void> {
  const { session, metadata } = options;
  if (session !== null) {
    const { sessionId } = session;
    const body = encodeReconnectRequest({ sessionId, metadata });
    const response = await ask(options, Command.reconnect, body);
    if (response.status === Status.success) return;
    const refused = toError(response);
    const { status } = response;
    const isForgotten = status === Status.unauthenticated || status === Status.badRequest;
    if (!isForgotten || isPassing(refused)) throw refused;
    options.onForgotten();
  }
  // The server lets us try again on the same connection. [D30]
  const body = encodeAuthRequest({ token: await fetchToken(options), metadata });
  const response = await ask(options, Command.auth, body);
  if (response.status !== Status.success) throw toError(response);
}

function ask(options: LoginOptions, command: number, body: Uint8Array): Promise<Response> {
  const { link, timeoutMs } = options;
  return link.request(command, body, {
    timeoutMs,
    onResponse(response) {
      if (response.status !== Status.success) return;
      options.onAccepted(decodeAuthResponse(response.body), command === Command.reconnect);
    },
  });
}

async function fetchToken({ token, link }: LoginOptions): Promise<string> {
  const giveUp = new AbortController();
  const lost = link.lost.then(({ error }) => {
    giveUp.abort(error);
    throw error;
  });
  return await Promise.race([fetch(), lost]);

  async function fetch(): Promise<string> {
    try {
      return await token({ signal: giveUp.signal });
    } catch (error) {
      throw new TokenError(error);
    }
  }
}

/** An Error body that does not parse leaves the status to speak. [§6] */
export function toError(response: Response): RequestFailed {
  const { status } = response;
  try {
    const { code, message, retryAfterMs } = decodeErrorBody(response.body);
    return new RequestFailed({ status, code, text: message, retryAfterMs });
  } catch {
    return new RequestFailed({ status, code: 0, text: "" });
  }
}
