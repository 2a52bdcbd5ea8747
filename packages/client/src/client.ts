/**
 * The client for applications: logs in, stays logged in, and comes back on the next URL after a
 * loss, with its session if it can. What one connection does is in link.ts.
 */
import { type AuthResponseBody, type Push, Status } from "@holdfast/protocol";
import { createAlarms } from "./alarms.ts";
import { createBackoff } from "./backoff.ts";
import type {
  Aborting,
  Answer,
  Client,
  ClientEvents,
  Login,
  RequestOptions,
  Stop,
} from "./client-interface.ts";
import { createDeferred } from "./deferred.ts";
import {
  ClientStopped,
  ConnectionLost,
  isPassing,
  RequestFailed,
  retryAfterOf,
  TokenError,
} from "./errors.ts";
import { createHandlers } from "./handlers.ts";
import { isDuplicate, isSessionOver, type Link, type Loss, openLink } from "./link.ts";
import { logIn, toError } from "./login.ts";
import { type ClientOptions, type ClientState, readOptions, type Session } from "./options.ts";
import { createRequestQueue } from "./request-queue.ts";
import { createSubscriptions } from "./subscriptions.ts";
import { createUrlOrder } from "./url-order.ts";

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
  readonly wasOpen: boolean;
}

export function createClient(options: ClientOptions): Client {
  const settings = readOptions(options);
  const { clock, random } = settings;
  const alarms = createAlarms(settings);
  const backoff = createBackoff({ ...settings.backoff, random });
  const handlers = createHandlers<ClientEvents>(options.onHandlerError);
  const pushes = createHandlers<Record<string, Push>>(options.onHandlerError);
  const order = createUrlOrder({ urls: options.urls, first: settings.firstUrl, random });
  let state: ClientState = "idle";
  let session: Session | null = options.session ?? null;
  let run: Run | null = null; // null exactly while idle or stopped
  let login = createDeferred<Login>(); // the present one, or the next
  let openedAtMs = 0;
  const queue = createRequestQueue<Answer>({
    ...{ alarms, clock, countMax: settings.queueMax, bytesMax: settings.outboundBytesMax },
  });
  const subscriptions = createSubscriptions({
    ...{ request, onPush, isOpen: () => state === "open", alarms, settings },
    report: handlers.report,
  });
  options.signal?.addEventListener("abort", () => void stop(closedByOwner));

  return {
    connect,
    takeBack: connect,
    request,
    subscribe: subscriptions.add,
    onPush: (command, handler, { signal } = {}) => untilAborted(onPush(command, handler), signal),
    on: (event, handler, { signal } = {}) => untilAborted(handlers.on(event, handler), signal),
    heartbeat: async ({ signal } = {}) => await linkFor("heartbeat").heartbeat(signal),
    close: () => stop(closedByOwner),
    get state() {
      return state;
    },
    get session() {
      return session;
    },
  };

  function connect(asked?: Aborting): Promise<Login> {
    const outcome = nextLogin(asked);
    outcome.catch(() => {}); // nobody has to wait for it: the events tell, too
    return outcome;
  }

  async function nextLogin({ signal }: Aborting = {}): Promise<Login> {
    options.signal?.throwIfAborted();
    signal?.throwIfAborted();
    const begun = run === null ? begin() : null;
    const { promise } = login;
    if (signal === undefined) return await promise;
    const onAbort = () => {
      if (begun !== null && run === begun && state === "connecting") giveUp(begun, signal.reason);
    };
    return await orAborted(promise, signal, onAbort);
  }

  function begin(): Run {
    expectLogin();
    const deadlineMs = clock.monotonic() + settings.connectTimeoutMs;
    const begun: Run = { isOver: false, link: null, deadlineMs, wake: () => {} };
    run = begun;
    setState("connecting");
    void keepConnected(begun); // never rejects: attempt and judge take every error
    return begun;
  }

  async function request(command: number, body: Uint8Array, asked: RequestOptions = {}) {
    const { timeoutMs = settings.requestTimeoutMs, signal } = asked;
    const isOnTheWay = state === "connecting" || state === "reconnecting";
    // Behind what waits already, though the connection is open: in order.
    if (settings.queueMax > 0 && (isOnTheWay || queue.size > 0)) {
      const send = (leftMs: number) => ask(command, body, { ...asked, timeoutMs: leftMs });
      return await queue.add({ command, body, timeoutMs, signal }, send);
    }
    return await ask(command, body, { ...asked, timeoutMs });
  }

  async function ask(
    command: number,
    body: Uint8Array,
    asked: RequestOptions & { readonly timeoutMs: number },
  ): Promise<Answer> {
    try {
      const response = await linkFor(`command ${command}`).request(command, body, asked);
      if (response.status !== Status.success) throw toError(response);
      return { status: response.status, body: response.body, metadata: response.metadata };
    } finally {
      sendQueued(); // there is room for one more
    }
  }

  function sendQueued(): void {
    if (queue.size > 0 && state === "open") queue.flush(run?.link?.free ?? 0);
  }

  function linkFor(what: string): Link {
    if (state === "open" && run !== null && run.link !== null) return run.link;
    throw new ConnectionLost(`Cannot send ${what}: the client is ${state}`);
  }

  async function keepConnected(current: Run): Promise<void> {
    while (!current.isOver) {
      const { loss, error, wasOpen } = await attempt(current);
      if (current.isOver) return;
      if (isSessionOver(loss?.close ?? null)) session = null;
      const why = whyLast(loss);
      if (why !== null) {
        void stop({ why, close: loss?.close ?? null });
        return;
      }
      if (state === "connecting" && isFinal(error, current)) {
        giveUp(current, error);
        return;
      }
      order.next(wasOpen);
      await pause(current, error, loss?.close?.hints?.retryAfterMs ?? retryAfterOf(error));
    }
  }

  /** Resolves when the connection is lost, or did not come to be. */
  async function attempt(current: Run): Promise<Attempt> {
    const { url } = order;
    const { openTransport: open } = settings;
    let link: Link | null = null;
    try {
      link = await openLink({ ...settings, url, alarms, open, onPush: tellPush });
      current.link = link;
      if (current.isOver) link.drop("the client was closed");
      await logInWithin(link, url);
    } catch (error) {
      link?.drop("login failed");
      return { loss: link?.loss ?? null, error: asError(error), wasOpen: false };
    }
    const loss = await link.lost;
    afterLoss(current, loss);
    return { loss, error: loss.error, wasOpen: true };
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
    sendQueued(); // asked before anyone who hears of the login can ask
    subscriptions.askAll();
    handlers.tell("open", made);
  }

  function afterLoss(current: Run, loss: Loss): void {
    // A server that accepts and then throws out shall not be asked again ever faster.
    if (clock.monotonic() - openedAtMs >= settings.backoff.maxMs) backoff.reset();
    if (current.isOver) return;
    if (whyLast(loss) === null) {
      expectLogin();
      setState("reconnecting");
    }
    handlers.tell("close", loss.close);
  }

  /** Null: it is worth another attempt. What the owner wants of duplicates outranks a hint. */
  function whyLast(loss: Loss | null): "duplicate" | "told" | null {
    const close = loss?.close ?? null;
    if (isDuplicate(close)) return settings.onDuplicate === "stop" ? "duplicate" : null;
    return close?.hints?.reconnect === false ? "told" : null;
  }

  function isFinal(error: Error, current: Run): boolean {
    if (error instanceof TokenError) return true;
    if (error instanceof RequestFailed && !isPassing(error)) return true;
    return clock.monotonic() >= current.deadlineMs;
  }

  /** Also while an attempt is under way, which then comes to nothing. */
  function giveUp(current: Run, error: unknown): void {
    current.isOver = true;
    run = null;
    backoff.reset();
    setState("idle");
    login.reject(error);
    queue.failAll(asError(error));
    current.link?.drop("it was given up");
    current.wake();
  }

  /** A wait that the server asks for comes first, and the jitter on top of it. */
  async function pause(current: Run, error: Error, retryAfterMs: number): Promise<void> {
    const delayMs = Math.min(retryAfterMs, settings.retryAfterMaxMs) + backoff.next();
    const { url } = order;
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

  async function stop(told: Stop): Promise<void> {
    const stopping = run;
    if (stopping === null) return;
    stopping.isOver = true;
    run = null;
    backoff.reset();
    // Taking it back would push the other one out: only a fresh token says that this is meant.
    if (told.why === "duplicate") session = null;
    expectLogin(); // the present one is over
    const error = new ClientStopped(told);
    login.reject(error);
    setState("stopped");
    queue.failAll(error);
    stopping.wake();
    handlers.tell("stopped", told);
    await stopping.link?.close();
  }

  /** Who waited for a login goes on waiting; a promise that is settled makes room for the next. */
  function expectLogin(): void {
    if (state === "connecting" || state === "reconnecting") return;
    login = createDeferred<Login>();
    login.promise.catch(() => {}); // nobody has to wait for it
  }

  function onPush(command: number | "*", handler: (push: Push) => void): () => void {
    return pushes.on(String(command), handler);
  }

  function tellPush(push: Push): void {
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

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

const closedByOwner: Stop = { why: "closed", close: null };

/** Takes a handler away when the signal says so, too. */
function untilAborted(stop: () => void, signal: AbortSignal | undefined): () => void {
  if (signal === undefined) return stop;
  const end = () => {
    signal.removeEventListener("abort", end);
    stop();
  };
  if (signal.aborted) stop();
  else signal.addEventListener("abort", end);
  return end;
}

async function orAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  onAbort: () => void,
): Promise<T> {
  const aborted = createDeferred<never>();
  const abort = () => {
    aborted.reject(signal.reason);
    onAbort();
  };
  signal.addEventListener("abort", abort);
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
