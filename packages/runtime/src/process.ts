/**
 * The life of a process: parts start in order, a signal stops them in reverse, and a hard deadline
 * ends what does not stop. Exit codes: 0 after a signal and a clean stop; 1 when something failed
 * or the deadline passed; 128 and the signal's number (143, 130) on a second signal.
 */
import type { Log } from "./log.ts";

export interface Part {
  readonly name: string;
  /** Those that say how it starts, for whoever reads that it could not. */
  readonly settings?: readonly string[];
  start(): Promise<void>;
  /** MUST be harmless after a `start` that failed. */
  stop(): Promise<void>;
}

export type StopSignal = "SIGTERM" | "SIGINT";

/** What the process gives us; a fake in tests. */
export interface ProcessHost {
  onSignal(deliver: (signal: StopSignal) => void): void;
  /** An exception or rejection that nobody caught. */
  onFault(deliver: (error: unknown) => void): void;
  exit(code: number): void;
  /** Calls once, unless it is called off. */
  after(delayMs: number, fire: () => void): () => void;
}

export interface RunOptions {
  readonly log: Log;
  readonly parts: readonly Part[];
  /** Between the signal and the stop of the first part; only once everything has started. */
  readonly drain?: () => Promise<void>;
  /** From the signal to the end, drain included. */
  readonly deadlineMs: number;
  /** From the beginning until every part has started. Default: no bound but the parts' own. */
  readonly startDeadlineMs?: number;
  readonly host?: ProcessHost;
}

export interface RunningService {
  /** As a signal would. For an operator's action. */
  stop(reason: string): void;
  /** The exit code, once `exit` has been called with it. */
  readonly finished: Promise<number>;
}

const signalNumbers = { SIGINT: 2, SIGTERM: 15 } as const;

/** Installs the signal handlers first of all: as PID 1, Bun ignores a signal without one. */
export function runService(options: RunOptions): RunningService {
  const { log, parts, host = systemHost } = options;
  const { promise: finished, resolve: finish } = Promise.withResolvers<number>();
  const started: Part[] = [];
  let isStopping = false;
  let hasExited = false;
  let at = "nothing"; // the part being started or stopped, for the deadline to name

  host.onSignal((signal) => {
    if (isStopping) return exit(128 + signalNumbers[signal]);
    stop(signal);
  });
  host.onFault((error) => {
    log.error("process_failed", { error, stack: error instanceof Error ? error.stack : undefined });
    exit(1);
  });
  const starting = start();
  return { stop, finished };

  async function start(): Promise<void> {
    const callOff = atDeadline(options.startDeadlineMs, () => {
      log.error("start_failed", { part: at, reason: `not within ${options.startDeadlineMs} ms` });
      exit(1);
    });
    for (const part of parts) {
      if (isStopping) break;
      at = part.name;
      started.push(part);
      try {
        await part.start();
      } catch (error) {
        callOff();
        const { name, settings = [] } = part;
        const look = settings.length === 0 ? {} : { settings };
        log.error("start_failed", { part: name, reason: sentence(error), ...look });
        if (!isStopping) end("start failed", 1);
        return;
      }
    }
    callOff();
    if (!isStopping) log.info("started", { parts: parts.map((part) => part.name) });
  }

  function stop(reason: string): void {
    if (!isStopping) end(reason, 0);
  }

  /** Decides once; everything after runs in the background under the deadline. */
  function end(reason: string, code: number): void {
    isStopping = true;
    log.info("stopping", { reason });
    atDeadline(options.deadlineMs, () => {
      log.error("stop_failed", { part: at, reason: `not within ${options.deadlineMs} ms` });
      exit(1);
    });
    void windDown(code).then(exit);
  }

  async function windDown(code: number): Promise<number> {
    const hasStarted = code === 0 && (await isWholeAfter(starting));
    let worst = code;
    if (hasStarted && options.drain !== undefined) {
      worst = Math.max(worst, await attempt("drain", options.drain));
    }
    for (const part of started.toReversed()) {
      worst = Math.max(worst, await attempt(part.name, () => part.stop()));
    }
    log.info("stopped", { code: worst });
    return worst;
  }

  async function isWholeAfter(start: Promise<void>): Promise<boolean> {
    await start;
    return started.length === parts.length;
  }

  async function attempt(name: string, act: () => Promise<void>): Promise<number> {
    at = name;
    try {
      await act();
      return 0;
    } catch (error) {
      log.error("stop_failed", { part: name, reason: sentence(error) });
      return 1;
    }
  }

  function atDeadline(delayMs: number | undefined, fire: () => void): () => void {
    return delayMs === undefined ? () => {} : host.after(delayMs, fire);
  }

  function exit(code: number): void {
    if (hasExited) return;
    hasExited = true;
    void log.flush().then(() => {
      host.exit(code);
      finish(code);
    });
  }
}

export const systemHost: ProcessHost = {
  onSignal(deliver) {
    process.on("SIGTERM", () => deliver("SIGTERM"));
    process.on("SIGINT", () => deliver("SIGINT"));
  },
  onFault(deliver) {
    process.on("uncaughtException", deliver);
    process.on("unhandledRejection", deliver);
  },
  exit: (code) => process.exit(code),
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs);
    return () => clearTimeout(timer);
  },
};

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
