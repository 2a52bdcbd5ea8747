/** Bearer tokens over HTTP: who is let in, who is not, and which web pages may ask. [D27] */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createManualClock, type Environment, SettingsError } from "@holdfast/runtime";
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, SignJWT } from "jose";
import { readTokenConfig } from "../src/config.ts";
import { createJwtVerifier } from "../src/jwt.ts";
import { nowSeconds, startService, type TestService } from "./rig.ts";

const needed = {
  TOKEN_DIRECTORY_FILE: "given",
  TOKEN_REDIS_URL: "redis://in-memory",
  TOKEN_NATS_URL: "nats://in-memory",
};
const secret = "a secret of thirty-two characters!";
const issuer = { TOKEN_JWT_ISSUER: "https://id.example", TOKEN_JWT_AUDIENCE: "holdfast" };

let folder: string;
let pair: { publicKey: CryptoKey; privateKey: CryptoKey };
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "holdfast-jwt-"));
  pair = await generateKeyPair("ES256", { extractable: true });
});
afterAll(() => rm(folder, { recursive: true }));

async function keyFile(name: string, ...pairs: (typeof pair)[]): Promise<string> {
  const keys = await Promise.all(
    pairs.map(async ({ publicKey }, index) => ({
      ...(await exportJWK(publicKey)),
      ...{ kid: `key-${index}`, alg: "ES256" },
    })),
  );
  const path = join(folder, name);
  await writeFile(path, JSON.stringify({ keys }));
  return path;
}

interface Claims {
  readonly sub?: string;
  readonly iss?: string;
  readonly aud?: string;
  readonly exp?: number;
  readonly [name: string]: unknown;
}

const good: Claims = {
  sub: "alice",
  iss: "https://id.example",
  aud: "holdfast",
  exp: nowSeconds + 60,
};

function sign(claims: Claims, kid = "key-0", key: CryptoKey = pair.privateKey): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: "ES256", kid }).sign(key);
}

async function start(environment: Environment): Promise<TestService> {
  const clock = createManualClock(nowSeconds * 1000);
  const { values } = readTokenConfig({ ...needed, ...environment });
  const verifyBearer = await createJwtVerifier(values, clock);
  return startService(environment, verifyBearer === null ? {} : { verifyBearer });
}

async function ask(service: TestService, token: string) {
  const headers = { authorization: `Bearer ${token}` };
  const answer = await service.ask("/v1/socket/token", { headers });
  const { code, data } = (await answer.json()) as { code: number; data: { limit: number } | null };
  return { status: answer.status, code, limit: data?.limit };
}

describe("GET /v1/socket/token with a JWT", () => {
  test("good one opens the account of its sub, with the claims of its issuer", async () => {
    const service = await start({ TOKEN_JWT_JWKS: await keyFile("a.json", pair), ...issuer });

    const plain = await ask(service, await sign(good));
    const rich = await ask(service, await sign({ ...good, holdfast: { limit: 7 } }));

    expect(plain).toEqual({ status: 200, code: 0, limit: 1 });
    expect(rich).toEqual({ status: 200, code: 0, limit: 7 });
    await service.stop();
  });

  test("expired one is told so, within the tolerance it is good", async () => {
    const jwks = await keyFile("b.json", pair);
    const service = await start({ TOKEN_JWT_JWKS: jwks, TOKEN_JWT_CLOCK_TOLERANCE_MS: "10000" });

    const within = await ask(service, await sign({ ...good, exp: nowSeconds - 9 }));
    const beyond = await ask(service, await sign({ ...good, exp: nowSeconds - 11 }));

    expect(within.code).toBe(0);
    expect(beyond).toMatchObject({ status: 401, code: 401003 });
    await service.stop();
  });

  test("every other fault is one refusal", async () => {
    const service = await start({ TOKEN_JWT_JWKS: await keyFile("c.json", pair), ...issuer });
    const other = await generateKeyPair("ES256");
    const { exp: _, ...endless } = good;
    const { sub: __, ...nameless } = good;
    const none = `${btoa('{"alg":"none"}')}.${btoa(JSON.stringify(good))}.`;
    // The public key taken for the secret of an HMAC.
    const confused = await new SignJWT(good)
      .setProtectedHeader({ alg: "HS256", kid: "key-0" })
      .sign(new TextEncoder().encode(await exportSPKI(pair.publicKey)));
    const faults = [
      await sign({ ...good, iss: "https://elsewhere" }),
      await sign({ ...good, aud: "somebody" }),
      await sign({ ...good, sub: "" }),
      await sign({ ...good, holdfast: { limit: 0 } }),
      await sign({ ...good, holdfast: { unknown: 1 } }),
      await sign({ ...good, nbf: nowSeconds + 3600 }),
      await sign(endless),
      await sign(nameless),
      await sign(good, "key-0", other.privateKey),
      ...[none, confused, "a.b.c", "not a token"],
    ];

    for (const token of faults) {
      expect(await ask(service, token)).toMatchObject({ status: 401, code: 401004 });
    }
    await service.stop();
  });

  test("key that is put beside the old one is found", async () => {
    const path = await keyFile("d.json", pair);
    const clock = createManualClock(nowSeconds * 1000);
    const { values } = readTokenConfig({ ...needed, TOKEN_JWT_JWKS: path });
    const verify = await createJwtVerifier(values, clock);
    const next = await generateKeyPair("ES256", { extractable: true });
    const token = await sign(good, "key-1", next.privateKey);

    const before = await verify?.(token, "");
    await keyFile("d.json", pair, next);
    const early = await verify?.(token, "");
    await clock.advance(5_000);
    const after = await verify?.(token, "");

    expect([before, early]).toEqual([null, null]);
    expect(after).toMatchObject({ account: "alice" });
    expect(await verify?.(await sign(good), "")).toMatchObject({ account: "alice" });
  });

  test("one key in PEM, or a secret, does as well", async () => {
    const pem = await start({ TOKEN_JWT_KEY: await exportSPKI(pair.publicKey) });
    const hmac = await start({ TOKEN_JWT_KEY: secret, TOKEN_JWT_ALGORITHMS: "HS256" });
    const signed = await new SignJWT(good)
      .setProtectedHeader({ alg: "HS256" })
      .sign(new TextEncoder().encode(secret));

    expect((await ask(pem, await sign(good))).code).toBe(0);
    expect((await ask(hmac, signed)).code).toBe(0);
    expect((await ask(hmac, await sign(good))).code).toBe(401004);
    await Promise.all([pem.stop(), hmac.stop()]);
  });

  test.each([
    [{ TOKEN_JWT_JWKS: "a", TOKEN_JWT_KEY: secret, TOKEN_JWT_ALGORITHMS: "HS256" }, "both set"],
    [{ TOKEN_JWT_KEY: secret }, "must be HS256, HS384 or HS512"],
    [{ TOKEN_JWT_JWKS: "a", TOKEN_JWT_ALGORITHMS: "ES256,HS256" }, "must be a secret"],
    [{ TOKEN_JWT_KEY: "short", TOKEN_JWT_ALGORITHMS: "HS256" }, "shorter than 32"],
    [{ TOKEN_JWT_ALGORITHMS: "none" }, "TOKEN_JWT_ALGORITHMS"],
  ])("configuration %p is refused", (environment, words) => {
    const read = () => readTokenConfig({ ...needed, ...environment });

    expect(read).toThrow(SettingsError);
    expect(read).toThrow(words);
  });
});

describe("CORS", () => {
  test("allowed page may ask and read, another may not, and backends' calls are closed", async () => {
    const service = await startService({ TOKEN_CORS_ORIGINS: "https://app.example" });
    const from = async (origin: string, method: string, path = "/v1/socket/token") => {
      const answer = await service.ask(path, { method, headers: { origin } });
      const allowed = answer.headers.get("access-control-allow-origin");
      return { status: answer.status, allowed, vary: answer.headers.get("vary") };
    };

    const ours = { allowed: "https://app.example", vary: "Origin" };
    expect(await from("https://app.example", "OPTIONS")).toEqual({ status: 204, ...ours });
    expect(await from("https://app.example", "GET")).toMatchObject(ours);
    for (const origin of ["https://app.example.evil", "http://app.example", "null"]) {
      expect((await from(origin, "GET")).allowed).toBeNull();
    }
    const backend = await from("https://app.example", "OPTIONS", "/v1/tokens");
    expect(backend).toMatchObject({ status: 405, allowed: null });
    await service.stop();
  });

  test("star lets every page ask, and without the setting none may", async () => {
    const open = await startService({ TOKEN_CORS_ORIGINS: "*" });
    const closed = await startService();
    const allowed = async (service: TestService) => {
      const headers = { origin: "https://any.example" };
      const answer = await service.ask("/v1/socket/token", { headers });
      return answer.headers.get("access-control-allow-origin");
    };

    expect([await allowed(open), await allowed(closed)]).toEqual(["*", null]);
    await Promise.all([open.stop(), closed.stop()]);
  });
});
