/** What can go wrong for a caller of the client, each kind with its own name. */

/** The server answered with a status other than 0. [§6] */
export class RequestFailed extends Error {
  readonly status: number;
  /** The server's own number, such as 404; 0 if it gave none. */
  readonly code: number;

  constructor(failure: { readonly status: number; readonly code: number; readonly text: string }) {
    super(failure.text === "" ? `Request failed with status ${failure.status}` : failure.text);
    this.name = "RequestFailed";
    this.status = failure.status;
    this.code = failure.code;
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

/** The client does not connect any more: closed by its owner, or pushed out by a newer login. */
export class ClientStopped extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ClientStopped";
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
