/**
 * A crowd that goes on while a dependency is away: connections that stand and ask, clients that
 * want to come in, clients that lost their connection and come back.
 */
import { HttpUpgradeError } from "@holdfast/client/wire";
import { Command, Status } from "@holdfast/protocol";
import { createUpstream, type Upstream } from "@holdfast/upstream";
import type { Lab } from "./lab.ts";
import type { Visit } from "./visit.ts";

export interface CrowdOptions {
  /** Of its accounts: one lab may see several crowds, one after the other. */
  readonly prefix: string;
  readonly connections: number;
  readonly requestsPerSecond: number;
  readonly heartbeatsPerSecond: number;
  readonly loginsPerSecond: number;
  /** As long as its tokens last: each login needs one. */
  readonly loginSeconds: number;
  /** Clients that can come back, one after the other, while the dependency is away. */
  readonly returners: number;
}

export interface Timed {
  readonly startedMs: number;
  readonly tookMs: number;
  /** In words; the same words for what is the same to a client. */
  readonly outcome: string;
}

/** What has been answered, in the order of the answers. */
export interface Seen {
  readonly requests: readonly Timed[];
  readonly heartbeats: readonly Timed[];
  readonly logins: readonly Timed[];
  readonly returns: readonly Timed[];
}

export interface Crowd {
  readonly seen: Seen;
  /** Connections of the crowd that ended without its wish. */
  lost(): number;
  /** From now on clients come back, one after the other. */
  beginReturns(): void;
  /**
   * The clients that could not come back try until they are told yes or no for good. Resolves with
   * what each client that came back was told in the end.
   */
  returnAll(timeoutMs: number): Promise<Readonly<Record<string, number>>>;
  /** Resolves with the milliseconds until every edge has let a client in on both transports. */
  untilLogins(timeoutMs: number): Promise<number>;
  /** ... until every edge has passed a request on, and its answer back. */
  untilRequests(timeoutMs: number): Promise<number>;
  /** ... until the registry knows of each connection that stands. */
  untilSeated(timeoutMs: number): Promise<number>;
  /** Waits for what is under way, and leaves. */
  stop(): Promise<void>;
  /** What its upstream did with requests. */
  executed(): Executed;
}

export interface Executed {
  readonly all: number;
  readonly twice: number;
  /** After their clients had been told that the service is not available. */
  readonly late: number;
  /** They came after their deadline, and were dropped. */
  readonly dropped: number;
}

const business = 210; // not one that an edge answers by itself
const requestMs = 5_000; // what a request allows
const hungMs = 10_000;

export const accepted = "in";

interface Returner {
  readonly account: string;
  sessionId: string;
  isBack: boolean;
}

export async function gather(lab: Lab, options: CrowdOptions): Promise<Crowd> {
  const ledger = createLedger();
  const upstream = await startUpstream(lab, ledger);
  const { prefix, loginsPerSecond } = options;
  const standing = await enterAll(lab, `${prefix}-stands`, options.connections);
  const returners = await prepare(lab, `${prefix}-returns`, options.returners);
  const tokens = loginsPerSecond * options.loginSeconds;
  const spares = await issueSpares(lab, `${prefix}-comes`, tokens);
  const seen = {
    ...{ requests: [] as Timed[], heartbeats: [] as Timed[] },
    ...{ logins: [] as Timed[], returns: [] as Timed[] },
  };
  let [asked, entered, returned] = [0, 0, 0];
  let isReturning = false;
  const ends: Record<string, number> = {}; // of those who came back
  const urlOf = (number: number) => lab.urls[number % lab.urls.length]!; // there is one at least
  const loops = [
    loop(options.requestsPerSecond, () => ask(business, "requests")),
    loop(options.heartbeatsPerSecond, () => ask(Command.heartbeat, "heartbeats")),
    loop(loginsPerSecond, () => logIn()),
    loop(loginsPerSecond, () => comeBack()),
  ];

  return {
    seen,
    lost: () => standing.filter(({ view }) => view.endedMs !== null && !view.isLeft).length,
    beginReturns() {
      isReturning = true;
    },
    returnAll,
    untilLogins: (timeoutMs) => untilAll(timeoutMs, isLetIn),
    untilRequests: (timeoutMs) => untilAll(timeoutMs, isPassedOn),
    untilSeated,
    async stop() {
      await Promise.all(loops.map((end) => end()));
      await upstream.stop();
      for (const visit of standing) lab.leave(visit);
    },
    executed: ledger.told,
  };

  async function ask(command: number, kind: "requests" | "heartbeats"): Promise<void> {
    const visit = standing[asked++ % standing.length]!;
    if (visit.view.endedMs !== null) return;
    seen[kind].push(await timed(() => request(visit, command, ledger)));
  }

  async function logIn(): Promise<void> {
    const number = entered++;
    const [account, token] = spares[number] ?? [];
    if (account === undefined || token === undefined) return;
    seen.logins.push(await timed(() => enter({ url: urlOf(number), account, token })));
  }

  async function comeBack(): Promise<void> {
    const returner = isReturning ? returners[returned++ % returners.length] : undefined;
    if (!returner || returner.isBack) return;
    returner.isBack = true; // nobody comes twice at once
    seen.returns.push(await timed(() => resume(returner, urlOf(returned))));
  }

  async function resume(returner: Returner, url: string): Promise<string> {
    const { account, sessionId } = returner;
    const outcome = await enter({ url, account, sessionId });
    returner.isBack = !isForNow(outcome);
    if (returner.isBack) ends[outcome] = (ends[outcome] ?? 0) + 1;
    return outcome;
  }

  async function returnAll(timeoutMs: number): Promise<Readonly<Record<string, number>>> {
    const untilMs = performance.now() + timeoutMs;
    isReturning = false;
    const last = async (returner: Returner, index: number) => {
      for (let tries = 0; !returner.isBack && performance.now() < untilMs; tries++) {
        await resume(returner, urlOf(index + tries));
        if (!returner.isBack) await Bun.sleep(200);
      }
    };
    await Promise.all(returners.map(last));
    return ends;
  }

  async function enter(entry: Parameters<Lab["enter"]>[0]): Promise<string> {
    try {
      const visit = await lab.enter({ ...entry, timeoutMs: hungMs });
      const outcome = outcomeOf(visit);
      lab.leave(visit);
      return outcome;
    } catch (error) {
      if (!(error instanceof HttpUpgradeError)) return "no connection";
      const hint = error.headers["retry-after"] === undefined ? ", no hint" : "";
      return `HTTP ${error.status}${hint}`;
    }
  }

  /** Several at once, so that each part of a Cluster is asked for somebody. */
  async function isLetIn(url: string, round: number): Promise<boolean> {
    const comers = Array.from({ length: 4 }, async (_, index) => {
      const account = `${prefix}-later-${round % 7}-${index}-${url}`;
      const token = await lab.issue(account, 3).catch(() => "");
      return token !== "" && (await enter({ url, account, token })) === accepted;
    });
    return (await Promise.all(comers)).every(Boolean);
  }

  async function isPassedOn(url: string): Promise<boolean> {
    const visit = standing.find(({ view }) => view.url === url && view.endedMs === null);
    return visit !== undefined && (await request(visit, business, ledger)) === answered;
  }

  async function untilSeated(timeoutMs: number): Promise<number> {
    const startedMs = performance.now();
    const missing = new Set(standing.filter(({ view }) => view.endedMs === null));
    while (missing.size > 0 && performance.now() - startedMs < timeoutMs) {
      const some = [...missing].slice(0, 64);
      const told = await Promise.all(
        some.map(({ view }) => lab.registry.seats(view.account).catch(() => [])),
      );
      for (const [index, seats] of told.entries()) {
        if (seats.length === 1) missing.delete(some[index]!); // as many as were asked about
      }
    }
    return missing.size === 0 ? performance.now() - startedMs : Number.POSITIVE_INFINITY;
  }

  async function untilAll(
    timeoutMs: number,
    isSo: (url: string, round: number) => Promise<boolean>,
  ): Promise<number> {
    const startedMs = performance.now();
    const one = async (url: string) => {
      for (let round = 0; !(await isSo(url, round)); round++) {
        if (performance.now() - startedMs > timeoutMs) return Number.POSITIVE_INFINITY;
        await Bun.sleep(50);
      }
      return performance.now() - startedMs;
    };
    return Math.max(...(await Promise.all(lab.urls.map(one))));
  }
}

export const answered = "answered";

/** Refused because it cannot be decided now, with or without a word on when it can. */
function isForNow(outcome: string): boolean {
  return outcome.startsWith("7 / 503") || outcome.startsWith("HTTP 503");
}

async function request({ view, wire }: Visit, command: number, ledger: Ledger): Promise<string> {
  view.asked++;
  const options = { timeoutMs: requestMs, deadlineMs: hungMs };
  const body = ledger.next();
  const answer = await wire.request(command, body, options).catch(() => null);
  if (answer === null) return "unanswered";
  view.answered++;
  if (answer.status === Status.internalError) ledger.refused(body);
  return answer.status === Status.success ? answered : `${answer.status}`;
}

function outcomeOf({ login, status, refusal, view }: Visit): string {
  if (login !== null) return accepted;
  if (status === null || refusal === null) return view.endedMs === null ? "hung" : "closed";
  const isHinted = refusal.retryAfterMs !== undefined && refusal.retryAfterMs > 0;
  const hint = status === Status.internalError && !isHinted ? ", no hint" : "";
  return `${status} / ${refusal.code}${hint}`;
}

async function timed(act: () => Promise<string>): Promise<Timed> {
  const startedMs = performance.now();
  const outcome = await act();
  return { startedMs, outcome, tookMs: performance.now() - startedMs };
}

/** Acts at that rate without waiting for what it began; the end waits for all of it. */
function loop(perSecond: number, act: () => Promise<void>): () => Promise<void> {
  const running = new Set<Promise<void>>();
  const timer = setInterval(() => {
    const one = act().finally(() => running.delete(one));
    running.add(one);
  }, 1000 / perSecond);
  return async () => {
    clearInterval(timer);
    await Promise.allSettled(running);
  };
}

async function enterAll(lab: Lab, prefix: string, count: number): Promise<readonly Visit[]> {
  const visits: Visit[] = [];
  for (let at = 0; at < count; at += 50) {
    const some = Array.from({ length: Math.min(50, count - at) }, (_, index) => at + index);
    const entered = await Promise.all(
      some.map((number) =>
        lab.enter({ url: lab.urls[number % lab.urls.length]!, account: `${prefix}-${number}` }),
      ),
    );
    const missing = entered.find(({ login }) => login === null);
    if (missing) throw new Error(`Cannot gather: ${missing.view.account} got ${missing.status}`);
    visits.push(...entered);
  }
  return visits;
}

/** They have a session and no connection. */
async function prepare(lab: Lab, prefix: string, count: number): Promise<Returner[]> {
  const visits = await enterAll(lab, prefix, count);
  return visits.map((visit) => {
    lab.leave(visit);
    return {
      ...{ account: visit.view.account, isBack: false },
      sessionId: visit.login?.sessionId ?? "",
    };
  });
}

/** Accounts, each with a token. */
async function issueSpares(
  lab: Lab,
  prefix: string,
  count: number,
): Promise<(readonly [string, string])[]> {
  const spares: (readonly [string, string])[] = [];
  for (let at = 0; at < count; at += 50) {
    const names = Array.from({ length: 50 }, (_, index) => `${prefix}-${at + index}`);
    const some = names.map(async (name) => [name, await lab.issue(name)] as const);
    spares.push(...(await Promise.all(some)));
  }
  return spares;
}

function startUpstream(lab: Lab, { execute, dropped }: Ledger): Promise<Upstream> {
  const servers = lab.servers.nats.map(({ host, port }) => `${host}:${port}`);
  const answer = async ({ body }: { readonly body: Uint8Array }) => {
    execute(body);
    return { body: new Uint8Array(64) };
  };
  return createUpstream({
    nats: { servers, maxReconnectAttempts: -1, reconnectTimeWait: 200, pingInterval: 2000 },
    commands: { [business]: answer },
    clockSkewMaxMs: 0, // it is one machine
    onFault: (fault) => void (fault === "late" && dropped()),
  });
}

/** What was asked, and what became of it, by the number that each request carries. */
interface Ledger {
  next(): Uint8Array;
  execute(body: Uint8Array): void;
  refused(body: Uint8Array): void;
  dropped(): void;
  told(): Executed;
}

function createLedger(): Ledger {
  const executions: number[] = []; // how often, by number
  const refusals = new Set<number>();
  let late = 0;
  let dropped = 0;
  const numberOf = (body: Uint8Array) => new DataView(body.buffer, body.byteOffset).getUint32(0);
  return {
    next() {
      const body = new Uint8Array(64);
      new DataView(body.buffer).setUint32(0, executions.length);
      executions.push(0);
      return body;
    },
    execute(body) {
      const number = numberOf(body);
      executions[number] = (executions[number] ?? 0) + 1;
      if (refusals.has(number)) late++;
    },
    refused: (body) => void refusals.add(numberOf(body)),
    dropped: () => void dropped++,
    told: () => ({
      all: executions.filter((count) => count > 0).length,
      twice: executions.filter((count) => count > 1).length,
      ...{ late, dropped },
    }),
  };
}
