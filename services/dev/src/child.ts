/** A service of ours as a child process: launched, awaited, signalled, ended. */

/** For an orderly end at leisure; then it is killed. */
const killAfterMs = 60_000;
const readyTimeoutMs = 20_000;

export interface Child {
  readonly pid: number;
  readonly hasExited: () => boolean;
  readonly exited: Promise<number>;
  signal(what: "SIGTERM" | "SIGKILL" | "SIGSTOP" | "SIGCONT"): void;
  /** SIGTERM, and when `hurried` a second one that ends it at once. Resolves when it is gone. */
  stop(hurried: boolean): Promise<void>;
}

export interface LaunchOptions {
  readonly script: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly log: ChildLog;
}

/** What becomes of what a child writes: its log. A number is an open file's. */
export type ChildLog = "inherit" | "ignore" | number;

export function launch({ script, settings, log }: LaunchOptions): Child {
  // The kernel kills the child when this process dies, however it dies.
  const child = Bun.spawn(["setpriv", "--pdeathsig", "KILL", process.execPath, script], {
    env: { ...process.env, ...settings },
    stdin: "ignore",
    // Our own standard output belongs to whoever started the cluster.
    stdout: log === "inherit" ? 2 : log,
    stderr: log,
  });
  const hasExited = () => child.exitCode !== null || child.signalCode !== null;
  // A number that has been given up may belong to somebody else by now.
  const signal = (what: NodeJS.Signals) => void (hasExited() || child.kill(what));
  return { pid: child.pid, hasExited, exited: child.exited, signal, stop };

  async function stop(hurried: boolean): Promise<void> {
    signal("SIGCONT"); // a process that stands still cannot obey
    signal("SIGTERM");
    const hurry = hurried ? setTimeout(() => signal("SIGTERM"), 300) : undefined;
    const kill = setTimeout(() => signal("SIGKILL"), hurried ? 5000 : killAfterMs);
    await child.exited;
    clearTimeout(hurry);
    clearTimeout(kill);
  }
}

/** A setting that is wrong, or a port that somebody else has taken. */
export class EndedAtOnce extends Error {
  override readonly name = "EndedAtOnce";
}

/** Waits for /readyz of its admin port; ends the child when it does not come. */
export async function untilReady(name: string, admin: string, child: Child): Promise<void> {
  const untilMs = performance.now() + readyTimeoutMs;
  while (performance.now() < untilMs) {
    if (child.hasExited())
      throw new EndedAtOnce(`Cannot start ${name}: it ended at once, see above`);
    const answer = await fetch(`${admin}/readyz`).catch(() => null);
    if (answer?.status === 200) return;
    await Bun.sleep(50);
  }
  await child.stop(true);
  throw new Error(`Cannot start ${name}: not ready within ${readyTimeoutMs} ms`);
}
