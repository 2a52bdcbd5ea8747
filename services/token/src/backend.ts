/** What a trusted backend may do: issue a token for an account, and end an account's sessions. */
import type { ClusterBus } from "@holdfast/cluster";
import { type Clock, limitKey, mistakesOf } from "@holdfast/runtime";
import { type LostSeat, RegistryUnavailable } from "@holdfast/session";
import { z } from "zod";
import { type Answer, badRequest, limited, refusals, success } from "./answer.ts";
import { type BodyLimits, type Call, isAnswer, readBody } from "./call.ts";
import type { TokenConfig } from "./config.ts";
import type { Directory } from "./directory.ts";
import { accountSchema, identityFields, identityOf, onlineForNewcomer } from "./identity.ts";
import type { Limits } from "./limits.ts";
import type { TokenMetrics } from "./metrics.ts";
import { endedReason, type Store } from "./store.ts";

export interface BackendOptions {
  readonly config: TokenConfig;
  readonly directory: Directory;
  readonly limits: Limits;
  readonly store: Store;
  readonly bus: Pick<ClusterBus, "publish">;
  readonly metrics: TokenMetrics;
  readonly clock: Clock;
}

export interface BackendCalls {
  /** POST /v1/tokens [§8.4] */
  issueToken(call: Call): Promise<Answer>;
  /** DELETE /v1/accounts/{account}/sessions; the account as it stands in the path. [§8.4] */
  endSessions(call: Call, escapedAccount: string): Promise<Answer>;
}

const ttlBounds = "must be an integer from 1 to 3600";
const tokenRequestSchema = z.strictObject(
  {
    ...identityFields,
    ttlSeconds: z.int(ttlBounds).min(1, ttlBounds).max(3600, ttlBounds).optional(),
  },
  "must be an object",
);

export function createBackendCalls(options: BackendOptions): BackendCalls {
  const { config, store, metrics, clock } = options;
  const defaults = { seatsMax: config.TOKEN_CONNECTION_LIMIT, policy: config.TOKEN_POLICY };
  const bodyLimits: BodyLimits = {
    bytesMax: config.TOKEN_BODY_BYTES_MAX,
    withinMs: config.TOKEN_REQUEST_TIMEOUT_MS,
    clock,
  };

  return { issueToken, endSessions };

  async function issueToken(call: Call): Promise<Answer> {
    try {
      const answer = refusalOf(options, call) ?? (await issue(call));
      metrics.issued(answer.code === 0 ? "ok" : answer.status === 429 ? "limit" : "denied");
      return answer;
    } catch (error) {
      if (error instanceof RegistryUnavailable) metrics.issued("unavailable");
      throw error;
    }
  }

  async function issue(call: Call): Promise<Answer> {
    const body = await readBody(call.request, bodyLimits);
    if (isAnswer(body)) return body;
    const json = parseJson(body);
    if (json === null) return badRequest(["(the whole): must be JSON in UTF-8"]);
    const parsed = tokenRequestSchema.safeParse(json.value);
    if (!parsed.success) return badRequest(mistakesOf(parsed.error));

    const identity = identityOf(parsed.data, defaults);
    const { ttlSeconds } = parsed.data;
    const ttlMs = ttlSeconds === undefined ? config.TOKEN_OTP_TTL_MS : ttlSeconds * 1000;
    const { token, expiresAtMs, online } = await store.issue(identity, ttlMs);
    return success({
      token,
      expires: expiresAtMs,
      limit: identity.seatsMax,
      online: onlineForNewcomer(identity, online),
    });
  }

  async function endSessions(call: Call, escapedAccount: string): Promise<Answer> {
    const refusal = refusalOf(options, call);
    if (refusal !== null) return refusal;
    const parsed = accountSchema.safeParse(unescaped(escapedAccount));
    if (!parsed.success) return badRequest(["account: must be 1 to 256 bytes of UTF-8"]);

    const { sessions, seats } = await store.end(parsed.data);
    tellNodes(seats);
    return success({ sessions, connections: seats.length });
  }

  /** Each node learns of its own connections. One that does not hears it at its next renewal. */
  function tellNodes(seats: readonly LostSeat[]): void {
    const startMs = clock.monotonic();
    for (const [node, own] of Map.groupBy(seats, (seat) => seat.node)) {
      const losers = own.map(({ connection, generation }) => ({ connection, generation }));
      const isSent = options.bus.publish(node, { type: "ended", losers, reason: endedReason });
      if (!isSent) metrics.dependencyFailed("nats", "other");
      metrics.dependencyTook("publish", clock.monotonic() - startMs);
    }
  }
}

/** Null: a backend that we know, within its rate. Strangers are limited by their address. */
function refusalOf(options: BackendOptions, call: Call): Answer | null {
  const { directory, limits } = options;
  const { headers } = call.request;
  const bearer = /^bearer +(.+)$/i.exec(headers.get("authorization") ?? "")?.[1];
  const key = headers.get("x-api-key") ?? bearer ?? "";
  if (directory.backend(key) === null) {
    const waitMs = limits.takeAddress(limitKey(call.address));
    return waitMs > 0 ? limited(refusals.addressLimited, waitMs) : refusals.keyIllegal;
  }
  const waitMs = limits.takeApp(key);
  return waitMs > 0 ? limited(refusals.keyLimited, waitMs) : null;
}

/** In a box, because null is JSON too. */
function parseJson(body: Uint8Array): { readonly value: unknown } | null {
  try {
    return { value: JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body)) };
  } catch {
    return null;
  }
}

/** Empty, and so refused, where the escapes make no UTF-8. */
function unescaped(escaped: string): string {
  try {
    return decodeURIComponent(escaped);
  } catch {
    return "";
  }
}
