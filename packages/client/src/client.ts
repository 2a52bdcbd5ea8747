/**
 * The client for applications: logs in, stays logged in, and comes back on the next URL after a
 * loss, with its session if it can. What one connection does is in link.ts.
 */
import { type AuthResponseBody, type Metadata, type Push, Status } from "@holdfast/protocol";
import { createAlarms } from "./alarms.ts";
import { createBackoff } from "./backoff.ts";
import { createDeferred } from "./deferred.ts";
import { ClientStopped, ConnectionLost, RequestFailed } from "./errors.ts";
import { createHandlers } from "./handlers.ts";
import { type Close, isDuplicate, isSessionOver, type Link, type Loss, openLink } from "./link.ts";
import { logIn, TokenError, toError } from "./login.ts";
import { type ClientOptions, type ClientState, readOptions, type Session } from "./options.ts";

export interface Login extends Session {
  /** How many connections the account may have, and has. */
  readonly limit: number;
  readonly online: number;
  /** False: a new session; whatever was subscribed to before has to be asked for again. */
  readonly resumed: boolean;
  readonly url: string;
}

export interface Answer {
  readonly status: number;
  readonly body: Uint8Array;
  readonly metadata: Metadata;
}

export interface RequestOptions {
  readonly timeoutMs?: number;
  /** Version 2 only; dropped in version 1. */
  readonly metadata?: Metadata;
  readonly signal?: AbortSignal;
}

export interface ClientEvents {
  readonly open: Login;
  /** A connection was lost; null if the server sent no Close push. */
  readonly close: Close | null;
  readonly reconnecting: { readonly url: string; readonly delayMs: number; readonly error: Error };
  readonly stopped: { readonly why: "closed" | "duplicate" };
}

export interface Client {
  /**
   * Resolves with the next login, or the present one. Rejects when the server refuses the login,
   * no token can be fetched, or `connectTimeoutMs` is over; it may then be called again, as after
   * a stop.
   */
  connect(): Promise<Login>;
  /**
   * Rejects with RequestFailed for any status but 0, with RequestTimeout, and with ConnectionLost
   * without a connection. Nothing is sent twice: whether to repeat is the caller's decision.
   */
  request(command: number, body: Uint8Array, options?: RequestOptions): Promise<Answer>;
  /** All pushes of a command, or of every command but Close. Returns what unsubscribes. */
  onPush(command: number | "*", handler: (push: Push) => void): () => void;
  on<Name extends keyof ClientEvents>(
    event: Name,
    handler: (value: ClientEvents[Name]) => void,
  ): () => void;
  /** Sends a heartbeat request, on WebSocket too; milliseconds there and back. */
  heartbeat(): Promise<number>;
  /** Stops for good, until `connect` is called again. The session stays valid. */
  close(): Promise<void>;
  readonly state: ClientState;
  readonly session: Session | null;
}

/** From one `connect` to the stop that ends it. */
interface Run {
  isOver: boolean;
  link: Link | null;
  readonly deadlineMs: number;
  /** Ends the pause between two attempts. */
  wake: () => void;
}

interface Attempt {
  readonly loss: Loss | null;
  readonly error: Error;
}

export function createClient(options: ClientOptions): Client {
  const settings = readOptions(options);
  const { clock, random } = settings;
  const alarms = createAlarms(settings);
  const backoff = createBackoff({ ...settings.backoff, random });
  const handlers = createHandlers<ClientEvents>(options.onHandlerError);
  const pushes = createHandlers<Record<string, Push>>(options.onHandlerError);
  let urlIndex = settings.firstUrl;
  let state: ClientState = "idle";
  let session: Session | null = options.session ?? null;
  let run: Run | null = null; // null exactly while idle or stopped
  let login = createDeferred<Login>(); // the present one, or the next
  let openedAtMs = 0;

  return {
    connect,
    request,
    onPush: (command, handler) => pushes.on(String(command), handler),
    on: handlers.on,
    heartbeat: async () => await linkFor("heartbeat").heartbeat(),
    close: () => stop("closed"),
    get state() {
      return state;
    },
    get session() {
      return session;
    },
  };

  function connect(): Promise<Login> {
    if (run !== null) return login.promise;
    expectLogin();
    const deadlineMs = clock.monotonic() + settings.connectTimeoutMs;
    run = { isOver: false, link: null, deadlineMs, wake: () => {} };
    setState("connecting");
    void keepConnected(run); // never rejects: attempt and judge take every error
    return login.promise;
  }

  async function request(command: number, body: Uint8Array, asked: RequestOptions = {}) {
    const { timeoutMs = settings.requestTimeoutMs, metadata, signal } = asked;
    const link = linkFor(`command ${command}`);
    const response = await link.request(command, body, { timeoutMs, metadata, signal });
    if (response.status !== Status.success) throw toError(response);
    return { status: response.status, body: response.body, metadata: response.metadata };
  }

  function linkFor(what: string): Link {
    if (state === "open" && run !== null && run.link !== null) return run.link;
    throw new ConnectionLost(`Cannot send ${what}: the client is ${state}`);
  }

  async function keepConnected(current: Run): Promise<void> {
    while (!current.isOver) {
      const { loss, error } = await attempt(current);
      if (current.isOver) return;
      if (isSessionOver(loss?.close ?? null)) session = null;
      if (isLastLoss(loss)) {
        void stop("duplicate");
        return;
      }
      if (state === "connecting" && isFinal(error, current)) {
        giveUp(current, error);
        return;
      }
      urlIndex = (urlIndex + 1) % options.urls.length;
      await pause(current, error);
    }
  }

  /** Resolves when the connection is lost, or did not come to be. */
  async function attempt(current: Run): Promise<Attempt> {
    const url = options.urls[urlIndex]!; // in bounds by its remainder, and there is at least one
    let link: Link | null = null;
    try {
      link = await openLink({ ...settings, url, alarms, open: settings.openTransport, onPush });
      current.link = link;
      if (current.isOver) link.drop("the client was closed");
      await logInWithin(link, url);
    } catch (error) {
      link?.drop("login failed");
      return { loss: link?.loss ?? null, error: asError(error) };
    }
    const loss = await link.lost;
    afterLoss(current, loss);
    return { loss, error: loss.error };
  }

  async function logInWithin(link: Link, url: string): Promise<void> {
    const timeoutMs = settings.loginTimeoutMs;
    const cancel = alarms.after(timeoutMs, () => link.drop("the login took too long"));
    const isUsable = session !== null && session.expiresAtMs > clock.now();
    try {
      await logIn({
        link,
        session: isUsable ? session : null,
        token: options.token,
        metadata: settings.metadata,
        timeoutMs,
        onForgotten: () => {
          session = null;
        },
        onAccepted: (body, isResumed) => opened(body, isResumed, url),
      });
    } finally {
      cancel();
    }
  }

  function opened(body: AuthResponseBody, resumed: boolean, url: string): void {
    const { sessionId, expiresAtMs, limit, online } = body;
    session = { sessionId, expiresAtMs };
    openedAtMs = clock.monotonic();
    setState("open");
    const made: Login = { sessionId, expiresAtMs, limit, online, resumed, url };
    login.resolve(made);
    handlers.tell("open", made);
  }

  function afterLoss(current: Run, loss: Loss): void {
    // A server that accepts and then throws out shall not be asked again ever faster.
    if (clock.monotonic() - openedAtMs >= settings.backoff.maxMs) backoff.reset();
    if (current.isOver) return;
    if (!isLastLoss(loss)) {
      expectLogin();
      setState("reconnecting");
    }
    handlers.tell("close", loss.close);
  }

  function isLastLoss(loss: Loss | null): boolean {
    return isDuplicate(loss?.close ?? null) && settings.onDuplicate === "stop";
  }

  function isFinal(error: Error, current: Run): boolean {
    if (error instanceof TokenError) return true;
    if (error instanceof RequestFailed && !isPassing(error.status)) return true;
    return clock.monotonic() >= current.deadlineMs;
  }

  function giveUp(current: Run, error: Error): void {
    current.isOver = true;
    run = null;
    backoff.reset();
    setState("idle");
    login.reject(error);
  }

  async function pause(current: Run, error: Error): Promise<void> {
    const delayMs = backoff.next();
    const url = options.urls[urlIndex]!; // as above
    handlers.tell("reconnecting", { url, delayMs, error });
    if (current.isOver) return; // a handler may have closed the client
    await new Promise<void>((resolve) => {
      const cancel = alarms.after(delayMs, resolve);
      current.wake = () => {
        cancel();
        resolve();
      };
    });
  }

  async function stop(why: ClientEvents["stopped"]["why"]): Promise<void> {
    const stopping = run;
    if (stopping === null) return;
    stopping.isOver = true;
    run = null;
    backoff.reset();
    if (why === "duplicate") session = null; // taking it back would push the other one out
    expectLogin(); // the present one is over
    login.reject(new ClientStopped(`Client has stopped: ${why}`));
    setState("stopped");
    stopping.wake();
    handlers.tell("stopped", { why });
    await stopping.link?.close();
  }

  /** Who waited for a login goes on waiting; a promise that is settled makes room for the next. */
  function expectLogin(): void {
    if (state === "connecting" || state === "reconnecting") return;
    login = createDeferred<Login>();
    login.promise.catch(() => {}); // nobody has to wait for it
  }

  function onPush(push: Push): void {
    pushes.tell(String(push.command), push);
    pushes.tell("*", push);
  }

  function setState(next: ClientState): void {
    state = next;
    try {
      options.onState?.(next);
    } catch (error) {
      options.onHandlerError?.(error);
    }
  }
}

/** True: the server could not do it now. Any other refusal would be the same the next time. */
function isPassing(status: number): boolean {
  return status === Status.internalError || status === Status.serverTimeout;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
