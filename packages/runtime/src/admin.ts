/**
 * HTTP for operators, on its own port: /metrics, /livez, /readyz, and actions such as POST /drain.
 * It decides who may act; what an action does is the service's business.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { listenFailure } from "./listen.ts";
import type { Metrics } from "./metrics.ts";

export interface Readiness {
  readonly ready: boolean;
  /** Why not; or, when it is, what is worth knowing. */
  readonly reasons: readonly string[];
}

export interface AdminOptions {
  readonly host: string;
  readonly port: number;
  /** What names the port to an operator: "EDGE_ADMIN_PORT". */
  readonly setting?: string;
  readonly metrics: Pick<Metrics, "text" | "contentType">;
  readonly isReady: () => Readiness;
  /** Lets somebody who is not on this machine act. Null: only this machine may. */
  readonly token: string | null;
  /** By path, as "/drain": POST, from this machine or with the token. */
  readonly actions: Readonly<Record<string, (request: Request) => Promise<Response>>>;
  /** Whether an address is on this machine. Tests, which are, say otherwise. */
  readonly isLocal?: (address: string) => boolean;
}

export interface Admin {
  readonly port: number;
  stop(): Promise<void>;
}

const actionBodyBytesMax = 64 * 1024;
const idleTimeoutSeconds = 30;

/** Throws one clear sentence when it cannot listen. */
export function startAdmin(options: AdminOptions): Admin {
  const { host, port } = options;
  try {
    const server = Bun.serve({
      hostname: host,
      port,
      maxRequestBodySize: actionBodyBytesMax,
      idleTimeout: idleTimeoutSeconds,
      fetch: (request, self) =>
        answer(options, request, self.requestIP(request)?.address ?? "unknown"),
      error: () => plain(500, "internal error\n"),
    });
    // A listener with a TCP host always has a port.
    return { port: server.port ?? port, stop: () => server.stop(true) };
  } catch (error) {
    const what = options.setting === undefined ? "admin" : `admin (${options.setting})`;
    throw listenFailure({ what, host, port }, error);
  }
}

async function answer(options: AdminOptions, request: Request, from: string): Promise<Response> {
  // Where the Host header is none, the runtime gives the target alone.
  const path = new URL(request.url, "http://localhost").pathname;
  const action = Object.hasOwn(options.actions, path) ? options.actions[path] : undefined;
  if (action !== undefined) {
    if (request.method !== "POST") return methodNotAllowed("POST");
    if (!mayAct(options, request, from)) return plain(403, "forbidden\n");
    return action(request);
  }
  if (path !== "/metrics" && path !== "/livez" && path !== "/readyz") {
    return plain(404, "not found\n");
  }
  if (request.method !== "GET" && request.method !== "HEAD") return methodNotAllowed("GET, HEAD");
  if (path === "/livez") return plain(200, "ok\n");
  if (path === "/readyz") return readiness(options.isReady());
  return new Response(await options.metrics.text(), {
    headers: { "content-type": options.metrics.contentType },
  });
}

function readiness({ ready, reasons }: Readiness): Response {
  return Response.json({ ready, reasons }, { status: ready ? 200 : 503 });
}

function mayAct(options: AdminOptions, request: Request, from: string): boolean {
  const { token, isLocal = isLoopback } = options;
  if (isLocal(from)) return true;
  const given = /^bearer +(.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  return token !== null && given !== undefined && isSameSecret(given, token);
}

export function isLoopback(address: string): boolean {
  return address === "::1" || /^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/i.test(address);
}

/** Takes the same time whatever differs: both are hashed first, so lengths do not matter. */
export function isSameSecret(given: string, expected: string): boolean {
  const hash = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(given), hash(expected));
}

function methodNotAllowed(allow: string): Response {
  return plain(405, "method not allowed\n", { allow });
}

function plain(status: number, text: string, headers: Record<string, string> = {}): Response {
  return new Response(text, {
    status,
    headers: { "content-type": "text/plain; charset=utf-8", ...headers },
  });
}
