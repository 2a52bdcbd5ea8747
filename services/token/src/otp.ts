/** GET /v1/socket/token: a client exchanges its access token for a one-time token. [§8.1] */
import { type Clock, limitKey } from "@holdfast/runtime";
import { type Identity, RegistryUnavailable } from "@holdfast/session";
import { type Answer, limited, refusals, success } from "./answer.ts";
import type { Call } from "./call.ts";
import type { TokenConfig } from "./config.ts";
import type { AccessToken, Directory } from "./directory.ts";
import { onlineForNewcomer } from "./identity.ts";
import type { Limits } from "./limits.ts";
import type { TokenMetrics } from "./metrics.ts";
import { isSignatureValid } from "./signature.ts";
import type { Store } from "./store.ts";

/** OAuth mode: whose login a bearer token opens; null when it opens none. [D27] */
export type BearerVerifier = (
  token: string,
  clientId: string,
) => Promise<Identity | "expired" | null>;

export interface OtpOptions {
  readonly config: TokenConfig;
  readonly directory: Directory;
  readonly verifyBearer: BearerVerifier | null;
  readonly limits: Limits;
  readonly store: Store;
  readonly metrics: TokenMetrics;
  readonly clock: Clock;
}

export function createOtpCall(options: OtpOptions): (call: Call) => Promise<Answer> {
  const { config, directory, limits, store, metrics, clock } = options;

  return async (call) => {
    try {
      const answer = await issue(call);
      metrics.issued(outcomeOf(answer));
      return answer;
    } catch (error) {
      if (error instanceof RegistryUnavailable) metrics.issued("unavailable");
      throw error;
    }
  };

  async function issue(call: Call): Promise<Answer> {
    const waitMs = limits.takeAddress(limitKey(call.address));
    if (waitMs > 0) return limited(refusals.addressLimited, waitMs);

    const authorization = call.request.headers.get("authorization") ?? "";
    const bearer = /^bearer +(.*)$/i.exec(authorization)?.[1];
    const holder =
      bearer === undefined ? holderOf(call, authorization) : await bearerOf(call, bearer);
    if ("code" in holder) return holder;

    const { token, online } = await store.issue(holder.identity, config.TOKEN_OTP_TTL_MS);
    return success({
      otp: token,
      limit: holder.identity.seatsMax,
      online: onlineForNewcomer(holder.identity, online),
    });
  }

  /** App key, signature and timestamp, address, rate, access token: in this order. [§8.3] */
  function holderOf(call: Call, authorization: string): AccessToken | Answer {
    const { request, path, query, address } = call;
    const app = directory.app(request.headers.get("x-api-key") ?? "");
    if (app === null) return refusals.keyIllegal;

    const signed = { method: request.method, path, query, headers: request.headers, body: noBytes };
    const isValid = isSignatureValid(signed, {
      secret: app.secret,
      nowMs: clock.now(),
      toleranceMs: config.TOKEN_TIMESTAMP_TOLERANCE_MS,
    });
    if (!isValid) return refusals.signatureInvalid;
    if (!app.allows(address)) return refusals.addressNotAllowed;
    // Counted once the secret is proven: a stranger cannot use up the app's rate.
    const waitMs = limits.takeApp(app.key);
    if (waitMs > 0) return limited(refusals.keyLimited, waitMs);

    const holder = directory.accessToken(authorization, app);
    if (holder === null) return refusals.tokenInvalid;
    if (holder.expiresAtMs !== null && holder.expiresAtMs <= clock.now()) {
      return refusals.tokenExpired;
    }
    return holder;
  }

  async function bearerOf(call: Call, bearer: string): Promise<AccessToken | Answer> {
    const clientId = call.request.headers.get("x-api-key") ?? "";
    const identity = (await options.verifyBearer?.(bearer, clientId)) ?? null;
    if (identity === "expired") return refusals.tokenExpired;
    return identity === null ? refusals.tokenInvalid : { identity, expiresAtMs: null };
  }
}

/** The call has no body, and one that is sent all the same is not signed. [§8.1] */
const noBytes = new Uint8Array();

function outcomeOf(answer: Answer): "ok" | "denied" | "limit" {
  if (answer.code === 0) return "ok";
  return answer.status === 429 ? "limit" : "denied";
}
