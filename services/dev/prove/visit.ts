/** Clients of a scenario: each logs in once, and what it sees goes to the recorder. */
import { openWire, type Wire } from "@holdfast/client/wire";
import {
  type AuthResponseBody,
  Command,
  decodeAuthResponse,
  decodeErrorBody,
  type ErrorBody,
  encodeAuthRequest,
  encodeReconnectRequest,
  encodeResponse,
  type Response,
  Status,
} from "@holdfast/protocol";
import type { Recorder, View } from "./recorder.ts";

/** A connection that has asked to come in. */
export interface Visit {
  readonly view: View;
  readonly wire: Wire;
  /** Null: the connection ended before it was answered. */
  readonly status: number | null;
  /** Null where it was refused. */
  readonly login: AuthResponseBody | null;
  /** What a refusal says; null where there was none. */
  readonly refusal: ErrorBody | null;
}

export interface Entry {
  readonly url: string;
  readonly account: string;
  readonly limit?: number; // default 1
  /** The one that is to be presented; without one, and without `sessionId`, a new one is issued. */
  readonly token?: string;
  /** Comes back with this session instead of a token. */
  readonly sessionId?: string;
  /** Of the client's own end: 127.0.0.2 is another network. */
  readonly localAddress?: string;
  /** For connecting, and for the answer. */
  readonly timeoutMs?: number; // default 20 s
  /** Called for each push, in order. */
  readonly onPush?: (body: Uint8Array) => void;
  /** Asks again on the same connection for so long while the store is away. */
  readonly patienceMs?: number; // default 0
  /** Waits meanwhile for as long as it is told to. */
  readonly isPolite?: boolean; // default false
  /** Connected, it asks once this has resolved: so several ask at once. */
  readonly barrier?: () => Promise<void>;
}

export interface Visitors {
  /** Rejects when there is no connection to be had. */
  enter(entry: Entry): Promise<Visit>;
  /** Goes away, as a client that has finished. */
  leave(visit: Visit): void;
  /** Everybody who is still there. */
  leaveAll(): void;
  /** Accepted, and not ended yet. */
  readonly open: readonly Visit[];
}

const answerMs = 20_000;
const askAgainMs = 200;

export function createVisitors(options: {
  readonly recorder: Recorder;
  readonly issue: (account: string, limit?: number) => Promise<string>;
}): Visitors {
  const { recorder, issue } = options;
  const visits = new Set<Visit>();

  return {
    enter,
    leave,
    leaveAll() {
      for (const visit of visits) leave(visit);
    },
    get open() {
      return [...visits];
    },
  };

  async function enter(entry: Entry): Promise<Visit> {
    const { url, account, limit = 1, sessionId, timeoutMs = answerMs } = entry;
    const isBack = sessionId !== undefined;
    const token = isBack ? "" : (entry.token ?? (await issue(account, limit)));
    const from = entry.localAddress === undefined ? {} : { localAddress: entry.localAddress };
    const wire = await openWire({ url, timeoutMs, ...from });
    await entry.barrier?.();
    const kind = isBack ? "reconnect" : "auth";
    const view = recorder.opened({ account, limit, url, kind, token });
    void wire.closed.then((closed) => recorder.ended(view, closed));
    const ask = () =>
      isBack
        ? wire.request(Command.reconnect, encodeReconnectRequest({ sessionId, metadata: {} }))
        : wire.request(Command.auth, encodeAuthRequest({ token, metadata: {} }));
    const answer = await askPatiently(ask, entry);
    const isAccepted = answer?.status === Status.success;
    const login = isAccepted ? decodeAuthResponse(answer.body) : null;
    if (answer !== null) recorder.decided(view, answer.status, login?.sessionId ?? null);
    const refusal = answer === null || isAccepted ? null : decodeErrorBody(answer.body);
    const visit = { view, wire, status: answer?.status ?? null, login, refusal };
    if (login === null) return visit;
    visits.add(visit);
    void wire.closed.then(() => visits.delete(visit));
    void attend(visit, entry.onPush);
    return visit;
  }

  function leave(visit: Visit): void {
    visit.view.isLeft = true;
    recorder.ended(visit.view, null);
    visits.delete(visit);
    if (visit.view.url.startsWith("ws:")) visit.wire.sendClose(1000);
    visit.wire.end();
  }
}

async function askPatiently(
  ask: () => Promise<Response>,
  { patienceMs = 0, isPolite = false }: Entry,
): Promise<Response | null> {
  const untilMs = performance.now() + patienceMs;
  for (;;) {
    const answer = await ask().catch(() => null);
    if (answer?.status !== Status.internalError || performance.now() > untilMs) return answer;
    const toldMs = decodeErrorBody(answer.body).retryAfterMs ?? 0;
    await Bun.sleep(isPolite ? Math.max(toldMs, askAgainMs) : askAgainMs);
  }
}

/** Answers the node's heartbeats; a response that nobody waited for is one too many. */
export async function attend(
  { view, wire }: Pick<Visit, "view" | "wire">,
  onPush: (body: Uint8Array) => void = () => {},
): Promise<void> {
  for (;;) {
    const packet = await wire.next(600_000).catch(() => null);
    if (packet === null) return;
    if (packet.type === "response") view.surplus++;
    else if (packet.type === "push" && packet.command > Command.reconnect) onPush(packet.body);
    else if (packet.type === "request") {
      wire.sendBytes(encodeResponse(1, packet.command, packet.requestId, 0, packet.body));
    }
  }
}
