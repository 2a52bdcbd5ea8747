/** The token service in one process: its listeners, its routes, and its readiness. */
import type { ClusterBus } from "@holdfast/cluster";
import {
  type Address,
  type Admin,
  type Clock,
  clientAddress,
  type Log,
  listenFailure,
  type Metrics,
  parseAddress,
  parseNetworks,
  startAdmin,
} from "@holdfast/runtime";
import { RegistryUnavailable, type SessionRegistry } from "@holdfast/session";
import { type Answer, limited, methodNotAllowed, refusals, toResponse } from "./answer.ts";
import { type BackendCalls, createBackendCalls } from "./backend.ts";
import { type Call, targetOf } from "./call.ts";
import type { TokenConfig } from "./config.ts";
import { corsHeaders, preflight } from "./cors.ts";
import type { Directory } from "./directory.ts";
import { createLimits, type Limits } from "./limits.ts";
import { createTokenMetrics, type TokenMetrics } from "./metrics.ts";
import { type BearerVerifier, createOtpCall } from "./otp.ts";
import { createStore } from "./store.ts";

export interface TokenServiceOptions {
  readonly config: TokenConfig;
  readonly registry: SessionRegistry;
  readonly bus: ClusterBus;
  readonly directory: Directory;
  readonly log: Log;
  /** Of this service alone: it declares its own in it, and stops its watch on the event loop. */
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Whether the registry's store answers. Default: it is taken for granted. */
  readonly isStoreUp?: () => boolean;
  readonly verifyBearer?: BearerVerifier;
}

export interface TokenService {
  /** The bound ports; those of the configuration before `start`. */
  readonly httpPort: number;
  readonly adminPort: number;
  /** Rejects with one clear sentence when it cannot listen. */
  start(): Promise<void>;
  /** Answers what has been asked, and takes no more. May be called twice. */
  stop(): Promise<void>;
}

/** Seconds that a connection may be silent. Longer than a request may take. */
const idleTimeoutSeconds = 75;
/** The listener's own bound; a body is refused well below it. */
const hardBodyBytesMax = 2 * 1024 * 1024;

export function createTokenService(options: TokenServiceOptions): TokenService {
  const { config, bus, log, isStoreUp = () => true } = options;
  const limits = createLimits({
    config,
    clock: options.clock,
    onLimited: (scope) => metrics.limited(scope),
  });
  const metrics: TokenMetrics = createTokenMetrics(options.metrics, {
    limiterKeys: { ip: () => limits.keys("ip"), app: () => limits.keys("app") },
    isUp: { redis: isStoreUp, nats: () => bus.isConnected() },
  });
  const answer = createAnswerer(options, limits, metrics);
  let admin: Admin | null = null;
  let server: Bun.Server<undefined> | null = null;
  let isStopping = false;

  return {
    get httpPort() {
      return server?.port ?? config.TOKEN_PORT;
    },
    get adminPort() {
      return admin?.port ?? config.TOKEN_ADMIN_PORT;
    },
    start,
    stop,
  };

  async function start(): Promise<void> {
    admin = startAdmin({
      host: config.TOKEN_ADMIN_HOST,
      port: config.TOKEN_ADMIN_PORT,
      metrics: options.metrics,
      isReady,
      token: config.TOKEN_ADMIN_TOKEN,
      actions: {},
    });
    try {
      server = listen(config, answer);
    } catch (error) {
      await stop();
      throw error;
    }
    log.info("token_started", { httpPort: server.port, adminPort: admin.port });
  }

  async function stop(): Promise<void> {
    isStopping = true;
    await server?.stop(false);
    await admin?.stop();
    options.metrics.stop();
  }

  /** Without its store it answers 503, quickly and in JSON: better than no endpoint at all. */
  function isReady() {
    const reasons: string[] = [];
    if (isStopping) reasons.push("stopping");
    if (server === null) reasons.push("starting");
    if (!isStoreUp()) reasons.push("redis does not answer: tokens are refused with 503");
    if (!bus.isConnected()) reasons.push("nats is not connected: ended sessions close late");
    return { ready: server !== null && !isStopping, reasons };
  }
}

type Answerer = (request: Request, peer: Address) => Promise<Response>;

function listen(config: TokenConfig, answer: Answerer): Bun.Server<undefined> {
  const { TOKEN_HOST: host, TOKEN_PORT: port } = config;
  try {
    return Bun.serve({
      hostname: host,
      port,
      maxRequestBodySize: hardBodyBytesMax,
      idleTimeout: idleTimeoutSeconds,
      fetch: (request, self) => {
        const peer = parseAddress(self.requestIP(request)?.address ?? "");
        // No address: the peer has gone away meanwhile, and reads no answer.
        return peer === null ? new Response(null, { status: 400 }) : answer(request, peer);
      },
    });
  } catch (error) {
    throw listenFailure({ what: "the API (TOKEN_PORT)", host, port }, error);
  }
}

function createAnswerer(
  options: TokenServiceOptions,
  limits: Limits,
  metrics: TokenMetrics,
): Answerer {
  const { config, registry, clock, log } = options;
  const trusted = parseNetworks(config.TOKEN_TRUSTED_PROXIES);
  const timeoutMs = config.TOKEN_REGISTRY_TIMEOUT_MS;
  const store = createStore({ registry, metrics, clock, timeoutMs });
  const shared = { ...options, limits, store, metrics };
  const otp = createOtpCall({ ...shared, verifyBearer: options.verifyBearer ?? null });
  const backend = createBackendCalls(shared);

  return async (request, peer) => {
    const call: Call = {
      request,
      ...targetOf(request.url),
      address: clientAddress(peer, request.headers.get("x-forwarded-for"), trusted),
      traceId: crypto.randomUUID().replaceAll("-", ""),
    };
    const shared = isPublic(call.path) ? corsHeaders(request, config.TOKEN_CORS_ORIGINS) : null;
    if (shared !== null && request.method === "OPTIONS") return preflight(shared);
    const response = await answered(call);
    for (const [name, value] of Object.entries(shared ?? {})) response.headers.set(name, value);
    return response;
  };

  async function answered(call: Call): Promise<Response> {
    try {
      return toResponse(await route(call, otp, backend), call.traceId);
    } catch (error) {
      if (error instanceof RegistryUnavailable) {
        log.warn("registry_unavailable", { traceId: call.traceId, fault: error.fault });
        return toResponse(limited(refusals.unavailable, 1000), call.traceId);
      }
      metrics.exception();
      log.error("request_failed", { traceId: call.traceId, error });
      return toResponse(refusals.internal, call.traceId);
    }
  }
}

/** The calls of clients; those of backends are no business of a browser. */
function isPublic(path: string): boolean {
  return path === "/v1/socket/token" || path === "/v2/socket/token";
}

async function route(
  call: Call,
  otp: (call: Call) => Promise<Answer>,
  backend: BackendCalls,
): Promise<Answer> {
  const { path, request } = call;
  if (isPublic(path)) {
    return request.method === "GET" ? otp(call) : methodNotAllowed("GET");
  }
  if (path === "/v1/tokens") {
    return request.method === "POST" ? backend.issueToken(call) : methodNotAllowed("POST");
  }
  const account = /^\/v1\/accounts\/([^/]*)\/sessions$/.exec(path)?.[1];
  if (account !== undefined) {
    const isDelete = request.method === "DELETE";
    return isDelete ? backend.endSessions(call, account) : methodNotAllowed("DELETE");
  }
  return refusals.notFound;
}
