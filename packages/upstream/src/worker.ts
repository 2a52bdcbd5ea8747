/**
 * Runs handlers: so many at once, the rest in turn, none past its deadline, and every request is
 * answered once. What waits is bounded; beyond, the answer is 7 / 503 at once.
 */
import type { Msg } from "nats";
import {
  failureOf,
  internalError,
  tooLarge,
  UpstreamFailure,
  type UpstreamReply,
  unavailable,
  writeReply,
} from "./reply.ts";
import { overdueMs, readRequest, type UpstreamRequest } from "./request.ts";

/** undefined: success, without a body. */
export type CommandHandler = (
  request: UpstreamRequest,
) => Promise<Uint8Array | UpstreamReply | undefined>;

/**
 * request: a message that no edge has sent. handler: it threw. reply: what it answered is none, or
 * more than NATS carries. overload: too many wait. late: it came, had its turn or was answered
 * after its deadline.
 */
export type WorkFault = "request" | "handler" | "reply" | "overload" | "late";

export interface Worker {
  take(message: Msg, handler: CommandHandler): void;
  /** Resolves when nothing is left to do, or at the deadline; what is left is answered 7 / 503. */
  finish(timeoutMs: number): Promise<void>;
  readonly running: number;
}

interface Job {
  readonly message: Msg;
  readonly handler: CommandHandler;
  readonly request: UpstreamRequest;
  readonly aborter: AbortController;
  isDone: boolean;
}

export function createWorker(options: {
  readonly concurrency: number;
  readonly waitingMax: number;
  /** Null: clocks are not trusted. */
  readonly clockSkewMaxMs: number | null;
  readonly onFault: (fault: WorkFault, error: unknown) => void;
}): Worker {
  const { concurrency, waitingMax, clockSkewMaxMs, onFault } = options;
  const running = new Set<Job>();
  const waiting: Job[] = [];
  let idle: (() => void) | null = null;

  return {
    take,
    finish,
    get running() {
      return running.size;
    },
  };

  /** MUST NOT throw: the library would stop reading. */
  function take(message: Msg, handler: CommandHandler): void {
    const aborter = new AbortController();
    try {
      const request = readRequest(message, aborter.signal);
      if (clockSkewMaxMs !== null && overdueMs(message) > clockSkewMaxMs) {
        onFault("late", new Error(`A request of command ${request.command} came too late`));
        return;
      }
      const job = { message, handler, request, aborter, isDone: false };
      if (running.size < concurrency) void run(job);
      else if (waiting.length < waitingMax) waiting.push(job);
      else refuse(message, unavailable, "overload", `More than ${waitingMax} requests wait`);
    } catch (error) {
      refuse(message, internalError, "request", error);
    }
  }

  function refuse(message: Msg, reply: UpstreamReply, fault: WorkFault, error: unknown): void {
    onFault(fault, typeof error === "string" ? new Error(error) : error);
    respond(message, reply);
  }

  async function run(job: Job): Promise<void> {
    running.add(job);
    const timer = setTimeout(() => job.aborter.abort(), job.request.remainingMs());
    try {
      const reply = await job.handler(job.request);
      finishJob(job, reply);
    } catch (error) {
      if (!(error instanceof UpstreamFailure)) onFault("handler", error);
      finishJob(job, failureOf(error));
    }
    clearTimeout(timer);
    running.delete(job);
    next();
  }

  /** Whoever waits past its deadline has been told by the edge, and is not worth the work. */
  function next(): void {
    while (running.size < concurrency) {
      const job = waiting.shift();
      if (!job) break;
      if (job.request.remainingMs() > 0) void run(job);
      else
        onFault("late", new Error(`A request of command ${job.request.command} waited too long`));
    }
    if (running.size === 0 && waiting.length === 0) idle?.();
  }

  function finishJob(job: Job, reply: Uint8Array | UpstreamReply | undefined): void {
    if (job.isDone) return;
    job.isDone = true;
    if (job.request.remainingMs() === 0) {
      onFault("late", new Error(`Command ${job.request.command} was answered too late`));
      return;
    }
    respond(job.message, reply);
  }

  function respond(message: Msg, reply: Uint8Array | UpstreamReply | undefined): void {
    try {
      const { body, headers } = writeReply(reply);
      message.respond(body, headers ? { headers } : {});
    } catch (error) {
      onFault("reply", error);
      if (reply === internalError || reply === tooLarge) return;
      const isTooLarge = error instanceof Error && /PAYLOAD/.test(codeOf(error));
      respond(message, isTooLarge ? tooLarge : internalError);
    }
  }

  async function finish(timeoutMs: number): Promise<void> {
    if (running.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    idle = resolve;
    const timer = setTimeout(resolve, timeoutMs);
    await promise;
    clearTimeout(timer);
    for (const job of [...running, ...waiting.splice(0)]) {
      if (job.isDone) continue;
      job.isDone = true;
      respond(job.message, unavailable);
      job.aborter.abort();
    }
  }
}

function codeOf(error: Error): string {
  return "code" in error ? String(error.code) : "";
}
