/**
 * One-time tokens for those who log in at the page, asked of the token service with the key that
 * only this process has. The key never leaves it, nor does what the token service said.
 */

export interface TokenSource {
  /** Rejects with TokenRefused. */
  issue(account: string): Promise<string>;
}

export class TokenRefused extends Error {
  /** For the caller's answer: 503 where it may be tried again, else 502. */
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "TokenRefused";
    this.status = status;
  }
}

export interface TokenSourceOptions {
  readonly url: string;
  readonly apiKey: string;
  readonly timeoutMs: number;
}

export function createTokenSource({ url, apiKey, timeoutMs }: TokenSourceOptions): TokenSource {
  const endpoint = new URL("/v1/tokens", url);
  return { issue };

  async function issue(account: string): Promise<string> {
    const { status, token } = await ask(account);
    if (token !== null) return token;
    const isPassing = status === 503 || status === 429;
    throw new TokenRefused(isPassing ? 503 : 502, `Token service answered with ${status}`);
  }

  async function ask(account: string): Promise<{ status: number; token: string | null }> {
    try {
      const answer = await fetch(endpoint, {
        method: "POST",
        headers: { "content-type": "application/json", "x-api-key": apiKey },
        body: JSON.stringify({ account }),
        signal: AbortSignal.timeout(timeoutMs),
      });
      return { status: answer.status, token: tokenOf(await answer.json()) };
    } catch (error) {
      throw new TokenRefused(503, "Token service does not answer", { cause: error });
    }
  }
}

function tokenOf(answer: unknown): string | null {
  if (typeof answer !== "object" || answer === null || !("data" in answer)) return null;
  const { data } = answer;
  if (typeof data !== "object" || data === null || !("token" in data)) return null;
  return typeof data.token === "string" ? data.token : null;
}
