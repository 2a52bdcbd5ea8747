/**
 * A token service on ports of 127.0.0.1 that the system chose, with memory in the place of Redis
 * and NATS, a clock that stands still, and a signer: what the tests over HTTP begin with.
 */
import { createHash, createHmac } from "node:crypto";
import { type ClusterEvent, createMemoryHub } from "@holdfast/cluster";
import {
  createManualClock,
  createMetrics,
  createSilentLog,
  type Environment,
  type Log,
  type ManualClock,
} from "@holdfast/runtime";
import {
  createMemoryRegistry,
  createSecret,
  type Presented,
  type SessionRegistry,
} from "@holdfast/session";
import { readTokenConfig } from "../src/config.ts";
import { parseDirectory } from "../src/directory.ts";
import { createTokenService, type TokenService, type TokenServiceOptions } from "../src/token.ts";

/** What the clock says: the moment of the signature vectors. */
export const nowSeconds = 1_795_412_422;

export const directoryFile = {
  apps: [
    { key: "appkey1", secret: "secret1" },
    { key: "appkey2", secret: "secret2" },
    { key: "far", secret: "secret3", allowFrom: ["192.0.2.0/24", "2001:db8::/32"] },
  ],
  accessTokens: [
    { token: "tok1", account: "alice", limit: 3 },
    { token: "tok-reject", account: "bob", limit: 2, policy: "reject" },
    { token: "tok-default", account: "carol" },
    { token: "tok-expired", account: "dave", expires: nowSeconds * 1000 },
    { token: "tok-lasting", account: "dave", expires: nowSeconds * 1000 + 1 },
    { token: "tok-of-app2", account: "erin", app: "appkey2" },
  ],
  apiKeys: [{ key: "backend-key-number-1", name: "shop" }],
};

export const backendKey = { "x-api-key": "backend-key-number-1" };

export interface TestService {
  readonly service: TokenService;
  readonly registry: SessionRegistry;
  readonly clock: ManualClock;
  /** What the nodes named `edge-1` and `edge-2` were told. */
  readonly told: { readonly node: string; readonly event: ClusterEvent }[];
  ask(path: string, init?: RequestInit): Promise<Response>;
  metric(line: string): Promise<string | undefined>;
  stop(): Promise<void>;
}

export async function startService(
  environment: Environment = {},
  options: Partial<TokenServiceOptions> & { readonly log?: Log } = {},
): Promise<TestService> {
  const { values: config } = readTokenConfig({
    TOKEN_HOST: "127.0.0.1",
    TOKEN_PORT: "0",
    TOKEN_ADMIN_HOST: "127.0.0.1",
    TOKEN_ADMIN_PORT: "0",
    TOKEN_DIRECTORY_FILE: "given",
    TOKEN_REDIS_URL: "redis://in-memory",
    TOKEN_NATS_URL: "nats://in-memory",
    ...environment,
  });
  const clock = createManualClock(nowSeconds * 1000);
  const registry = createMemoryRegistry({ clock });
  const hub = createMemoryHub();
  const told: TestService["told"] = [];
  for (const node of ["edge-1", "edge-2"]) {
    await hub.bus().subscribe(node, (event) => told.push({ node, event }));
  }
  const service = createTokenService({
    config,
    registry,
    bus: hub.bus(),
    directory: parseDirectory(JSON.stringify(directoryFile), {
      seatsMax: config.TOKEN_CONNECTION_LIMIT,
      policy: config.TOKEN_POLICY,
    }),
    log: createSilentLog(),
    metrics: createMetrics({ clock }),
    clock,
    ...options,
  });
  await service.start();

  return {
    service,
    registry: options.registry ?? registry,
    clock,
    told,
    ask: (path, init) => fetch(`http://127.0.0.1:${service.httpPort}${path}`, init),
    async metric(start) {
      const answer = await fetch(`http://127.0.0.1:${service.adminPort}/metrics`);
      return (await answer.text()).split("\n").find((line) => line.startsWith(start));
    },
    stop: () => service.stop(),
  };
}

/** The headers of a good request for a one-time token; each part may be given otherwise. */
export function signed(
  parts: {
    readonly path?: string;
    readonly query?: string;
    readonly token?: string;
    readonly key?: string;
    readonly secret?: string;
    readonly timestamp?: string;
  } = {},
): Record<string, string> {
  const { path = "/v1/socket/token", query = "", token = "tok1", key = "appkey1" } = parts;
  const { secret = "secret1", timestamp = String(nowSeconds) } = parts;
  const names = "authorization;x-api-key;x-timestamp";
  const headers = `authorization:${token}\nx-api-key:${key}\nx-timestamp:${timestamp}\n`;
  const canonical = `GET|${path}|${query}|${headers}|${names}|`;
  const hash = createHash("sha1").update(canonical).digest("hex");
  const signature = createHmac("sha256", secret).update(`HMAC-SHA256|${hash}`).digest("hex");
  return {
    authorization: token,
    "x-api-key": key,
    "x-timestamp": timestamp,
    "x-api-signature": `HMAC-SHA256 SignedHeaders=${names}, Signature=${signature}`,
  };
}

/** Opens connections of an account, as an edge would. */
export async function seat(
  registry: SessionRegistry,
  account: string,
  seats: readonly { readonly node: string; readonly connection: string }[],
): Promise<void> {
  const identity = { account, seatsMax: 100, policy: "displace" as const, metadata: {} };
  for (const place of seats) {
    const { token } = await registry.issue(identity, 60_000);
    const claim = await registry.login(token, presentedAt(place.node, place.connection));
    if (typeof claim === "string") throw new Error(`Cannot seat ${account}: ${claim}`);
  }
}

/** What an edge says of a connection that logs in. */
export function presentedAt(node: string, connection: string): Presented {
  const sid = createSecret().slice(0, 16);
  return { seat: { node, connection }, sid, secret: createSecret(), clientMetadata: {} };
}

export interface Body {
  readonly code: number;
  readonly message: string;
  readonly msg: string;
  readonly data: Readonly<Record<string, string | number>> | null;
}

/** Every answer of the API is JSON of this shape; the tests say what is in it. */
export async function bodyOf(answer: Response): Promise<Body> {
  return (await answer.json()) as Body;
}
