/**
 * Clients that come back as the public ones do, without jitter. Go: at once, then every second,
 * with the same session until it expires, after every Close. Rust: 2 s later; whatever goes wrong
 * with its Reconnect request makes it fetch a new token, only a connection that does not open lets
 * it keep its session.
 */
import { Command } from "@holdfast/protocol";
import type { Lab } from "./lab.ts";
import type { Visit } from "./visit.ts";

export type SdkKind = "go" | "rust";

export interface Sdk {
  readonly kind: SdkKind;
  readonly account: string;
  readonly isOpen: boolean;
  readonly story: Story;
  /**
   * Goes on until it was told; the connection that stands then is left open. Resolves when what it
   * has asked is answered.
   */
  stop(): Promise<void>;
}

/** All counts. */
export interface Story {
  tokens: number;
  resumes: number;
  /** Answers other than success, by status; "none": the connection ended first. */
  readonly refusals: Record<string, number>;
  /** By code of the Close; "none": it ended without one. */
  readonly closes: Record<string, number>;
  /** Connections that did not open. */
  unopened: number;
  /** From an end to the next accepted login, milliseconds. */
  readonly gapsMs: number[];
  answered: number;
  /** Requests whose connection ended first. */
  unanswered: number;
}

export interface SdkOptions {
  readonly lab: Lab;
  readonly kind: SdkKind;
  readonly account: string;
  readonly limit?: number;
  /** Comes with this one, as after a copied credential, and has no tokens to fetch. */
  readonly sessionId?: string;
  /** Where the load balancer sends the next connection. */
  readonly pick: () => string;
  /** Requests of one every so often; 0: none. */
  readonly requestEveryMs?: number;
}

const echo = 16;
const goRetryMs = 1_000;
const rustWaitMs = 2_000;
const answerMs = 5_000; // after which they hang up

export function startSdk(options: SdkOptions): Sdk {
  const { lab, kind, account, limit = 1, pick, requestEveryMs = 0 } = options;
  const story: Story = {
    ...{ tokens: 0, resumes: 0, unopened: 0, answered: 0, unanswered: 0 },
    ...{ refusals: {}, closes: {}, gapsMs: [] },
  };
  const stopped = Promise.withResolvers<void>();
  let isStopped = false;
  let visit: Visit | null = null;
  let sessionId: string | null = options.sessionId ?? null;
  const asked = new Set<Promise<void>>();
  const living = live();

  return {
    ...{ kind, account, story },
    get isOpen() {
      return visit !== null;
    },
    async stop() {
      isStopped = true;
      stopped.resolve();
      await living;
      await Promise.all(asked);
    },
  };

  async function live(): Promise<void> {
    let endedMs: number | null = null;
    let tries = 0;
    while (!isStopped) {
      if (endedMs !== null) await pause(tries++);
      if (isStopped) return;
      const next = await comeIn();
      endedMs ??= performance.now();
      if (next === null) continue;
      if (story.tokens + story.resumes > 1) story.gapsMs.push(performance.now() - endedMs);
      visit = next;
      tries = 0;
      await Promise.race([use(next), stopped.promise]);
      if (isStopped) return;
      visit = null;
      endedMs = performance.now();
      add(story.closes, next.view.closed?.closePush?.code ?? "none");
    }
  }

  function pause(tries: number): Promise<unknown> {
    const waitMs = kind === "rust" ? rustWaitMs : tries === 0 ? 0 : goRetryMs;
    return Promise.race([Bun.sleep(waitMs), stopped.promise]);
  }

  async function comeIn(): Promise<Visit | null> {
    const hasTokens = options.sessionId === undefined && sessionId === null;
    const token = hasTokens ? await lab.issue(account, limit).catch(() => null) : null;
    if (token === null && sessionId === null) return null; // there is none to be had
    const credential = sessionId === null ? { token: token ?? "" } : { sessionId };
    const entry = { url: pick(), account, limit, timeoutMs: answerMs, ...credential };
    const arrived = await lab.enter(entry).catch(() => null);
    if (arrived === null) {
      story.unopened++;
      return null;
    }
    if (arrived.login === null) {
      add(story.refusals, arrived.status ?? "none");
      arrived.wire.reset();
      if (kind === "rust") sessionId = null;
      return null;
    }
    if (sessionId === null) story.tokens++;
    else story.resumes++;
    sessionId = arrived.login.sessionId;
    return arrived;
  }

  /** Until it ends. */
  async function use({ wire, view }: Visit): Promise<void> {
    const asking = requestEveryMs > 0 ? setInterval(tick, requestEveryMs) : undefined;
    await wire.closed;
    clearInterval(asking);

    function tick(): void {
      if (isStopped) return;
      const one = ask();
      asked.add(one);
      void one.then(() => asked.delete(one));
    }

    async function ask(): Promise<void> {
      view.asked++;
      const body = new Uint8Array([1, 2, 3]);
      const answer = await wire.request(echo, body, { deadlineMs: 20_000 }).catch(() => null);
      if (answer === null) story.unanswered++;
      else {
        view.answered++;
        story.answered++;
      }
    }
  }
}

/** Shows the node that the session id has arrived. */
export async function beat({ wire }: Visit): Promise<void> {
  await wire.request(Command.heartbeat, new Uint8Array(0));
}

function add(counts: Record<string, number>, key: string | number): void {
  counts[key] = (counts[key] ?? 0) + 1;
}
