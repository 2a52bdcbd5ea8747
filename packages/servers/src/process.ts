/**
 * A server as a child process: started on a free port with a directory of its own, ready when it
 * answers, gone when it is stopped and at the latest when this process dies, however it dies.
 * What it is started with, and what "answers" means, is told by redis.ts and nats.ts.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, isListening } from "./port.ts";

/** `await using redis = await startRedis()` stops it at the end of the block. */
export interface Server extends AsyncDisposable {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Of the process that runs now; another one after `restart`. */
  readonly pid: number;
  /** Ends the process and removes its directory; may be called twice. */
  stop(): Promise<void>;
  /** Does nothing when the process has already ended. */
  signal(name: "SIGSTOP" | "SIGCONT" | "SIGKILL" | "SIGTERM"): void;
  /** Same port, same data directory; resolves when it answers again. Also after a SIGKILL. */
  restart(): Promise<void>;
}

/** Where a server is told to live. */
export interface Place {
  readonly host: string;
  readonly port: number;
  /** Exists and is empty at the first start; is kept over `restart`, removed by `stop`. */
  readonly directory: string;
}

export interface ProcessOptions {
  /** The executable; looked for on PATH, in /usr/sbin and in /usr/local/sbin. */
  readonly binary: string;
  /** The Debian package to name when the executable is missing. */
  readonly debianPackage: string;
  readonly scheme: string;
  readonly host?: string;
  /** Taken as it is; without it a free one is found, again if somebody comes first. */
  readonly port?: number;
  /** The arguments; called once for a place, so it may write a config file into the directory. */
  readonly args: (place: Place) => readonly string[] | Promise<readonly string[]>;
  /** One attempt; rejects while the server is not ready. Repeated until the deadline. */
  readonly probe: (place: Place) => Promise<unknown>;
  readonly startTimeoutMs?: number;
}

const START_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 2_000;
const PROBE_INTERVAL_MS = 10;
const PORTS_TRIED_MAX = 5;
const OUTPUT_LENGTH_MAX = 4_000;

/** Resolves with a server that answers; rejects with its last output when it does not. */
export async function startProcess(options: ProcessOptions): Promise<Server> {
  const launcher = [
    // The kernel kills the child when its parent dies: no test run leaves a server behind.
    ...[find("setpriv", "util-linux"), "--pdeathsig", "KILL"],
    find(options.binary, options.debianPackage),
  ];
  const host = options.host ?? "127.0.0.1";
  for (let tries = 1; ; tries++) {
    const port = options.port ?? (await freePort(host));
    const directory = await mkdtemp(join(tmpdir(), `holdfast-${options.binary}-`));
    try {
      const place = { host, port, directory };
      const command = [...launcher, ...(await options.args(place))];
      return createServer({
        options,
        place,
        command,
        first: await launch(options, place, command),
      });
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      const isTaken = error instanceof Error && /address already in use/i.test(error.message);
      if (options.port !== undefined || !isTaken || tries === PORTS_TRIED_MAX) throw error;
    }
  }
}

function find(binary: string, debianPackage: string): string {
  const path = `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/local/sbin`;
  const found = Bun.which(binary, { PATH: path });
  if (found) return found;
  throw new Error(`Cannot find ${binary}: install the Debian package ${debianPackage}`);
}

interface Child {
  readonly pid: number;
  readonly hasExited: () => boolean;
  readonly exited: Promise<unknown>;
  readonly kill: (signal: NodeJS.Signals) => void;
  /** What it wrote last, for error messages. */
  readonly output: () => string;
}

function createServer(running: {
  readonly options: ProcessOptions;
  readonly place: Place;
  readonly command: readonly string[];
  readonly first: Child;
}): Server {
  const { options, place, command } = running;
  let child = running.first;
  let isStopped = false;
  let last: Promise<void> = Promise.resolve(); // stop and restart run one after the other

  return {
    url: `${options.scheme}://${place.host}:${place.port}`,
    host: place.host,
    port: place.port,
    get pid() {
      return child.pid;
    },
    stop: () => inTurn(stop),
    signal: (name) => child.kill(name),
    restart: () => inTurn(restart),
    [Symbol.asyncDispose]: () => inTurn(stop),
  };

  function inTurn(step: () => Promise<void>): Promise<void> {
    const done = last.then(step);
    last = done.catch(() => {}); // whoever called was told
    return done;
  }

  async function stop(): Promise<void> {
    isStopped = true;
    await end(child);
    await rm(place.directory, { recursive: true, force: true });
  }

  async function restart(): Promise<void> {
    if (isStopped) throw new Error(`Cannot restart ${options.binary}: it was stopped for good`);
    await end(child);
    child = await launch(options, place, command);
  }
}

async function launch(
  options: ProcessOptions,
  place: Place,
  command: readonly string[],
): Promise<Child> {
  const child = spawn(command, place.directory);
  try {
    await ready(child, options, place);
    return child;
  } catch (error) {
    await end(child);
    throw error;
  }
}

function spawn(command: readonly string[], directory: string): Child {
  const child = Bun.spawn([...command], {
    cwd: directory,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const decoder = new TextDecoder();
  let output = "";
  const keep = async (stream: ReadableStream<Uint8Array>) => {
    for await (const chunk of stream) {
      output = (output + decoder.decode(chunk)).slice(-OUTPUT_LENGTH_MAX);
    }
  };
  const read = Promise.allSettled([keep(child.stdout), keep(child.stderr)]);
  const hasExited = () => child.exitCode !== null || child.signalCode !== null;
  return {
    pid: child.pid,
    hasExited,
    exited: Promise.all([child.exited, read]),
    // A number that has been given up may belong to somebody else by now.
    kill: (signal) => void (hasExited() || child.kill(signal)),
    output: () => output.trim(),
  };
}

async function ready(child: Child, options: ProcessOptions, place: Place): Promise<void> {
  const timeoutMs = options.startTimeoutMs ?? START_TIMEOUT_MS;
  const deadline = performance.now() + timeoutMs;
  let reason: unknown = `it does not listen on port ${place.port}`;
  while (performance.now() < deadline) {
    if (child.hasExited()) {
      await child.exited; // for the rest of its output
      throw new Error(`Cannot start ${options.binary}: it ended at once: ${child.output()}`);
    }
    if (await isListening(child.pid, place.port)) {
      const failure = await options.probe(place).then(
        () => null,
        (error: unknown) => error,
      );
      if (failure === null) return;
      reason = failure;
    }
    await Bun.sleep(PROBE_INTERVAL_MS);
  }
  const tail = `${String(reason)}: ${child.output()}`;
  throw new Error(`Cannot start ${options.binary}: not ready within ${timeoutMs} ms: ${tail}`);
}

async function end(child: Child): Promise<void> {
  child.kill("SIGCONT"); // a process that stands still cannot obey
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await child.exited;
  clearTimeout(timer);
}
