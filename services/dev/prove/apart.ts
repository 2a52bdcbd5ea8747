/**
 * A scenario that runs in a network namespace of its own, with all it starts: there it may have
 * devices, addresses and losses that are nobody else's. Where the machine or the user has none to
 * give, the scenario runs here, and knows it.
 */
import { join } from "node:path";
import type { Finding, Scenario } from "./scenario.ts";
import type { Outcome, TrialOptions } from "./trial.ts";

export type ApartOrder = Pick<TrialOptions, "size" | "scale" | "seed" | "planted"> & {
  readonly scenario: string;
};

export type ApartWord =
  /** It has a namespace, and all that it needs there. */
  | { readonly kind: "begun" }
  | { readonly kind: "log"; readonly line: string }
  | { readonly kind: "finding"; readonly finding: Finding }
  | { readonly kind: "done"; readonly outcome: Outcome }
  | { readonly kind: "refused"; readonly why: string };

const mark = "PROVE_APART";

/** This process has a namespace of its own. */
export function isApart(): boolean {
  return process.env[mark] === "true";
}

/** Null: it could not be, which has been logged. Rejects when it ended half way. */
export async function runApart(scenario: Scenario, options: TrialOptions): Promise<Outcome | null> {
  const { log, onFinding, size, scale, seed, planted } = options;
  const { promise, resolve } = Promise.withResolvers<Outcome | string>();
  const order: ApartOrder = { scenario: scenario.name, size, scale, seed, planted };
  let hasBegun = false;
  const hear = (word: ApartWord) => {
    if (word.kind === "begun") hasBegun = true;
    else if (word.kind === "log") log(word.line);
    else if (word.kind === "finding") onFinding(word.finding);
    else resolve(word.kind === "done" ? word.outcome : word.why);
  };
  const child = start(order, hear);
  void child.ended.then((why) => resolve(why));
  const outcome = await promise;
  child.end();
  await child.ended;
  if (typeof outcome !== "string") return outcome;
  if (hasBegun) throw new Error(`Its process has ended: ${outcome}`);
  log(`No namespace of our own (${outcome})`);
  return null;
}

interface Child {
  end(): void;
  /** Resolves with the reason. Never rejects. */
  readonly ended: Promise<string>;
}

function start(order: ApartOrder, hear: (word: ApartWord) => void): Child {
  const script = join(import.meta.dir, "apart-main.ts");
  // Root needs no namespace of users for it; others may have one.
  const own = process.getuid?.() === 0 ? [] : ["--map-root-user"];
  const command = ["unshare", "--net", ...own, "setpriv", "--pdeathsig", "KILL"];
  try {
    const child = Bun.spawn([...command, process.execPath, script], {
      env: { ...process.env, [mark]: "true" },
      stdio: ["ignore", "inherit", "pipe"],
      ipc: hear,
    });
    child.send(order);
    const said = new Response(child.stderr).text();
    const ended = async () => {
      const code = await child.exited;
      return (await said).trim().split("\n").at(-1) || `it ended with ${code}`;
    };
    return { end: () => child.kill(), ended: ended() };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { end: () => {}, ended: Promise.resolve(why) };
  }
}
