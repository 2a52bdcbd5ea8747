/**
 * OAuth mode: `Authorization: Bearer <JWT>`, verified against the keys of whoever signed it. `sub`
 * is the account; the claim `holdfast` may carry limit, policy and metadata. [D27] [RFC 7519]
 */
import { readFile } from "node:fs/promises";
import { type Clock, unreadable } from "@holdfast/runtime";
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  importSPKI,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from "jose";
import { z } from "zod";
import { isPem, type TokenConfig } from "./config.ts";
import { accountSchema, type IdentityDefaults, identityFields, identityOf } from "./identity.ts";
import type { BearerVerifier } from "./otp.ts";

/** An unknown key makes the file be read again, but not more often than this. */
const rereadCooldownMs = 5_000;

const { limit, policy, metadata } = identityFields;
const claimsSchema = z.object({
  sub: accountSchema,
  holdfast: z.strictObject({ limit, policy, metadata }).optional(),
});

/** Null: no key is configured, and every bearer token is refused. Rejects with one clear line. */
export async function createJwtVerifier(
  config: TokenConfig,
  clock: Clock,
): Promise<BearerVerifier | null> {
  const keys = await openKeys(config, clock);
  if (keys === null) return null;
  const defaults: IdentityDefaults = {
    seatsMax: config.TOKEN_CONNECTION_LIMIT,
    policy: config.TOKEN_POLICY,
  };
  return async (token) => {
    try {
      const { payload } = await jwtVerify(token, keys, {
        algorithms: [...config.TOKEN_JWT_ALGORITHMS],
        ...(config.TOKEN_JWT_ISSUER === null ? {} : { issuer: config.TOKEN_JWT_ISSUER }),
        ...(config.TOKEN_JWT_AUDIENCE === null ? {} : { audience: config.TOKEN_JWT_AUDIENCE }),
        clockTolerance: config.TOKEN_JWT_CLOCK_TOLERANCE_MS / 1000,
        currentDate: new Date(clock.now()),
        requiredClaims: ["sub", "exp"],
      });
      return identityIn(payload, defaults);
    } catch (error) {
      if (error instanceof errors.JWTExpired) return "expired";
      // A key server that is away is our trouble, not a bad token.
      if (error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout)) return null;
      throw error;
    }
  };
}

function identityIn(payload: JWTPayload, defaults: IdentityDefaults) {
  const claims = claimsSchema.safeParse(payload);
  if (!claims.success) return null;
  const { sub: account, holdfast } = claims.data;
  return identityOf({ account, ...holdfast }, defaults);
}

async function openKeys(config: TokenConfig, clock: Clock): Promise<JWTVerifyGetKey | null> {
  const { TOKEN_JWT_JWKS: jwks, TOKEN_JWT_KEY: key } = config;
  if (jwks !== null) {
    if (!jwks.startsWith("https://")) return openKeyFile(jwks, clock);
    const url = URL.parse(jwks);
    if (url === null) throw new Error(`TOKEN_JWT_JWKS is "${jwks}": is no address`);
    return createRemoteJWKSet(url, { timeoutDuration: 2000 });
  }
  if (key === null) return null;
  if (!isPem(key)) {
    const secret = new TextEncoder().encode(key);
    return async () => secret;
  }
  try {
    const keys = new Map<string, Awaited<ReturnType<typeof importSPKI>>>();
    for (const name of config.TOKEN_JWT_ALGORITHMS) {
      // A key is of one kind: those algorithms that are not of it stay without one.
      await importSPKI(key, name).then(
        (imported) => keys.set(name, imported),
        () => {},
      );
    }
    if (keys.size === 0) throw new Error("it fits none of TOKEN_JWT_ALGORITHMS");
    return async ({ alg }) => {
      const found = keys.get(alg ?? "");
      if (found === undefined) throw new errors.JWKSNoMatchingKey();
      return found;
    };
  } catch (error) {
    throw new Error(`TOKEN_JWT_KEY is (hidden): cannot be used, ${reasonOf(error)}`);
  }
}

/** Rotation: whoever signs puts the new key beside the old one into the file. */
async function openKeyFile(path: string, clock: Clock): Promise<JWTVerifyGetKey> {
  let keys = await read();
  let readAtMs = clock.monotonic();

  return async (header, token) => {
    try {
      return await keys(header, token);
    } catch (error) {
      const isEarly = clock.monotonic() - readAtMs < rereadCooldownMs;
      if (!(error instanceof errors.JWKSNoMatchingKey) || isEarly) throw error;
      readAtMs = clock.monotonic();
      keys = await read().catch(() => keys); // half written: the keys of before stay
      return await keys(header, token);
    }
  };

  async function read(): Promise<JWTVerifyGetKey> {
    const told = (reason: string) => new Error(`TOKEN_JWT_JWKS is "${path}": ${reason}`);
    const text = await readFile(path, "utf8").catch((error) => {
      throw told(unreadable(error));
    });
    try {
      // createLocalJWKSet checks what it is given.
      return createLocalJWKSet(JSON.parse(text) as JSONWebKeySet);
    } catch {
      throw told("must be a JSON Web Key Set"); // the parser's own words may quote a key
    }
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
