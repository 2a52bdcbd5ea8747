/**
 * The page's backend: serves the page, tells it where the edges are, and trades the name somebody
 * logs in with for a one-time token. An application would ask for a password here.
 */
import { type Log, listenFailure } from "@holdfast/runtime";
import type { PageBundle } from "./page-bundle.ts";
import { TokenRefused, type TokenSource } from "./page-token.ts";

/** What GET /config answers: enough to connect, and to say which node one is on. */
export interface PageConfig {
  readonly edges: readonly { readonly node: string; readonly url: string }[];
}

export interface PageOptions {
  readonly host: string;
  readonly port: number;
  readonly config: PageConfig;
  readonly bundle: PageBundle;
  readonly tokens: TokenSource;
  readonly log: Log;
  readonly onLogin: (result: "ok" | "refused" | "unavailable") => void;
}

export interface Page {
  readonly port: number;
  stop(): Promise<void>;
}

const bodyBytesMax = 1024;
const idleTimeoutSeconds = 30;

/** Throws one clear sentence when it cannot listen. */
export function startPage(options: PageOptions): Page {
  const { host, port } = options;
  const headers = pageHeaders(options.config);
  const server = listen();
  return { port: server.port ?? port, stop: () => server.stop(true) };

  function listen(): Bun.Server<undefined> {
    try {
      return Bun.serve({
        hostname: host,
        port,
        maxRequestBodySize: bodyBytesMax,
        idleTimeout: idleTimeoutSeconds,
        fetch: answer,
        error: () => refusal(500, "Something went wrong here"),
      });
    } catch (error) {
      throw listenFailure({ what: "the page", host, port }, error);
    }
  }

  async function answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/login") {
      if (request.method !== "POST") return refusal(405, "Log in with POST");
      return logIn(request);
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      return refusal(405, "Read with GET");
    }
    if (pathname === "/config") return json(200, options.config);
    const file = options.bundle.get(pathname);
    if (file === undefined) return refusal(404, "There is nothing here");
    const cacheControl = file.isImmutable ? "public, max-age=31536000, immutable" : "no-cache";
    return new Response(file.body, {
      headers: { ...headers, "content-type": file.type, "cache-control": cacheControl },
    });
  }

  async function logIn(request: Request): Promise<Response> {
    if (!isOwn(request)) return refused(403, "Log in from the page itself");
    const account = accountOf(await request.json().catch(() => null));
    if (account === null) return refused(400, "A name has 1 to 40 letters, digits, or . _ -");
    try {
      const token = await options.tokens.issue(account);
      options.onLogin("ok");
      return json(200, { token });
    } catch (error) {
      if (!(error instanceof TokenRefused)) throw error;
      options.onLogin("unavailable");
      options.log.warn("login_failed", { reason: error.message });
      return refusal(error.status, "No token to be had just now");
    }
  }

  function refused(status: number, message: string): Response {
    options.onLogin("refused");
    return refusal(status, message);
  }
}

/** Another site's page must not log anybody in; a program sends no Origin, and may. */
function isOwn(request: Request): boolean {
  const origin = request.headers.get("origin");
  if (!(request.headers.get("content-type") ?? "").startsWith("application/json")) return false;
  return origin === null || URL.parse(origin)?.host === request.headers.get("host");
}

function accountOf(body: unknown): string | null {
  if (typeof body !== "object" || body === null || !("account" in body)) return null;
  const { account } = body;
  return typeof account === "string" && /^[\p{L}\p{N}._-]{1,40}$/u.test(account) ? account : null;
}

function pageHeaders({ edges }: PageConfig): Record<string, string> {
  const connect = ["'self'", ...edges.map(({ url }) => new URL(url).origin)].join(" ");
  return {
    "content-security-policy": `default-src 'self'; connect-src ${connect}; img-src 'self' data:; font-src 'self' data:; \
object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
  };
}

function json(status: number, value: unknown): Response {
  return Response.json(value, { status, headers: { "cache-control": "no-store" } });
}

function refusal(status: number, message: string): Response {
  return json(status, { message });
}
