/**
 * One JSON line for each event on stdout, on pino. Secrets are taken out by the name of their
 * field, a flood of one event is sampled, and a broken stdout costs lines, never the process.
 */
import pino from "pino";
import { type Clock, systemClock } from "./clock.ts";
import { createOutput, toDescriptor } from "./output.ts";
import { presentable } from "./redact.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

export type LogFields = Readonly<Record<string, unknown>>;

/** An event is named in the past tense, in snake_case, from a closed set: `node_drained`. */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** Says these fields with every event; shares the bound on floods. */
  child(fields: LogFields): Log;
  /** Waits a moment for what is not written yet. For the end of the process; never rejects. */
  flush(): Promise<void>;
}

export interface LogOptions {
  readonly service: string;
  readonly node: string;
  readonly level: LogLevel;
  /** Takes one whole line. Default: stdout, without ever waiting for it. */
  readonly write?: (line: string) => void;
  readonly clock?: Clock;
}

/** Lines of one event within a second; what comes above is counted, and said once a second. */
export const identicalEventsMax = 100;
/** Lines that wait for a slow stdout; what comes above is dropped. */
const waitingBytesMax = 1024 * 1024;
/** How long the end of the process waits for the last lines. */
const flushMs = 500;
/** Names with a count of their own. Events come from the code, so there are never so many. */
const countedEventsMax = 1000;

export function createLog(options: LogOptions): Log {
  const stdout = createOutput({ waitingBytesMax, write: toDescriptor(1) });
  const logger = pino(
    {
      level: options.level,
      base: { service: options.service, node: options.node },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: options.write ?? stdout.write },
  );
  const sampler = createSampler(options.clock ?? systemClock, (level, event, suppressed) => {
    logger[level]({ event, suppressed });
  });
  return logOn(logger, { sampler, flush: () => stdout.flush(flushMs) });
}

/** Says nothing: for tests and for what is embedded. */
export function createSilentLog(): Log {
  const silent = (): void => {};
  const log: Log = {
    debug: silent,
    info: silent,
    warn: silent,
    error: silent,
    child: () => log,
    flush: () => Promise.resolve(),
  };
  return log;
}

function logOn(
  logger: pino.Logger,
  shared: { readonly sampler: Sampler; readonly flush: () => Promise<void> },
): Log {
  const at = (level: LogLevel) => (event: string, fields?: LogFields) => {
    if (!logger.isLevelEnabled(level) || !shared.sampler.admits(level, event)) return;
    logger[level]({ event, ...(fields === undefined ? {} : presentable(fields)) });
  };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: (fields) => logOn(logger.child(presentable(fields)), shared),
    flush: shared.flush,
  };
}

interface Sampler {
  admits(level: LogLevel, event: string): boolean;
}

/** Counts each event by the second. Its clock ticks only while something is being suppressed. */
function createSampler(
  clock: Clock,
  report: (level: LogLevel, event: string, suppressed: number) => void,
): Sampler {
  let counts = new Map<
    string,
    { readonly level: LogLevel; readonly event: string; seen: number }
  >();
  let windowStartMs = clock.monotonic();
  let stopTicking: (() => void) | null = null;

  return { admits };

  function admits(level: LogLevel, event: string): boolean {
    if (clock.monotonic() - windowStartMs >= 1000) turn();
    const key = counts.size < countedEventsMax ? `${level} ${event}` : "other";
    const count = counts.get(key) ?? { level, event, seen: 0 };
    if (count.seen === 0) counts.set(key, count);
    count.seen += 1;
    if (count.seen <= identicalEventsMax) return true;
    stopTicking ??= clock.every(1000, turn);
    return false;
  }

  function turn(): void {
    const past = counts;
    counts = new Map();
    windowStartMs = clock.monotonic();
    stopTicking?.();
    stopTicking = null;
    for (const { level, event, seen } of past.values()) {
      if (seen > identicalEventsMax) report(level, event, seen - identicalEventsMax);
    }
  }
}
