/** What a backend sees of the token service while Redis is away. */
import { credentials } from "../src/cluster.ts";
import type { Lab } from "./lab.ts";
import { startTokenService } from "./token-service.ts";

export interface ApiAnswer {
  readonly startedMs: number;
  readonly tookMs: number;
  /** "200", "503", and with it whether it says when to come back. */
  readonly outcome: string;
}

export interface TokenApi {
  readonly answers: readonly ApiAnswer[];
  stop(): Promise<void>;
}

const intervalMs = 200;
const answerTimeoutMs = 5_000;

/** Asks for a token five times a second, whatever came of the one before. */
export async function watchTokenApi(lab: Lab): Promise<TokenApi> {
  const { url, stop } = await startTokenService(lab);
  const answers: ApiAnswer[] = [];
  const asking = new Set<Promise<void>>();
  const timer = setInterval(() => {
    const one = ask().finally(() => asking.delete(one));
    asking.add(one);
  }, intervalMs);
  return {
    answers,
    async stop() {
      clearInterval(timer);
      await Promise.all(asking);
      await stop();
    },
  };

  async function ask(): Promise<void> {
    const startedMs = performance.now();
    const outcome = await fetch(`${url}/v1/tokens`, {
      method: "POST",
      headers: { "x-api-key": credentials.apiKey },
      body: JSON.stringify({ account: "backend" }),
      signal: AbortSignal.timeout(answerTimeoutMs),
    }).then(
      ({ status, headers }) =>
        `${status}${status === 503 && !headers.has("retry-after") ? ", no hint" : ""}`,
      () => "none",
    );
    answers.push({ startedMs, outcome, tookMs: performance.now() - startedMs });
  }
}
