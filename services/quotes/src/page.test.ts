/** The page's backend over HTTP, with a token service of the test's own. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createSilentLog } from "@holdfast/runtime";
import { type Page, startPage } from "./page.ts";
import { buildPage, type PageBundle } from "./page-bundle.ts";
import { createTokenSource, TokenRefused } from "./page-token.ts";

const apiKey = "a-backend-key-of-the-test";
const edges = [{ node: "edge-1", url: "ws://127.0.0.1:9001" }];
const results: string[] = [];
let bundle: PageBundle;
let page: Page;
let tokenService: Bun.Server<undefined>;
let base: string;

/** Knows one key; the account `away` finds it in trouble. */
async function answerToken(request: Request): Promise<Response> {
  const { account } = (await request.json()) as { readonly account: string }; // of our own source
  if (request.headers.get("x-api-key") !== apiKey) return Response.json({}, { status: 403 });
  if (account === "away") return Response.json({ data: null }, { status: 503 });
  if (account === "odd") return new Response("no JSON");
  return Response.json({ data: { token: `token-of-${account}` } });
}

beforeAll(async () => {
  tokenService = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: answerToken });
  bundle = await buildPage();
  page = startPage({
    host: "127.0.0.1",
    port: 0,
    config: { edges },
    bundle,
    tokens: createTokenSource({ url: tokenService.url.href, apiKey, timeoutMs: 2000 }),
    log: createSilentLog(),
    onLogin: (result) => results.push(result),
  });
  base = `http://127.0.0.1:${page.port}`;
});

afterAll(async () => {
  await page.stop();
  await tokenService.stop(true);
});

function logIn(body: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  const type = { "content-type": "application/json" };
  return fetch(`${base}/login`, { method: "POST", headers: { ...type, ...headers }, body });
}

describe("POST /login", () => {
  test("name is traded for a token, and nobody keeps the answer", async () => {
    const answer = await logIn('{"account":"alice"}');

    expect(await answer.json()).toEqual({ token: "token-of-alice" });
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(results.at(-1)).toBe("ok");
  });

  test.each([
    ["no name", "{}"],
    ["an empty name", '{"account":""}'],
    ["a name of 41 characters", JSON.stringify({ account: "a".repeat(41) })],
    ["a blank", '{"account":"a b"}'],
    ["a number", '{"account":7}'],
    ["no JSON", "account=alice"],
    ["null", "null"],
  ])("%s is refused", async (_, body) => {
    const answer = await logIn(body);

    expect(answer.status).toBe(400);
    expect(results.at(-1)).toBe("refused");
  });

  test("name of 40 letters of any script is taken", async () => {
    expect((await logIn(JSON.stringify({ account: "ж".repeat(40) }))).status).toBe(200);
  });

  test("body of more than a kilobyte is refused", async () => {
    expect((await logIn(JSON.stringify({ account: "a".repeat(2000) }))).status).toBe(413);
  });

  test("another site's page may not log in, the page itself and a program may", async () => {
    const body = '{"account":"alice"}';

    expect((await logIn(body, { origin: "https://elsewhere.example" })).status).toBe(403);
    expect((await logIn(body, { origin: "null" })).status).toBe(403);
    expect((await logIn(body, { "content-type": "text/plain" })).status).toBe(403);
    expect((await logIn(body, { origin: base })).status).toBe(200);
  });

  test("other methods are refused", async () => {
    expect((await fetch(`${base}/login`)).status).toBe(405);
    expect((await fetch(base, { method: "POST" })).status).toBe(405);
  });

  test("trouble of the token service is told without its words", async () => {
    for (const [account, status] of [
      ["away", 503],
      ["odd", 503],
    ] as const) {
      const answer = await logIn(JSON.stringify({ account }));

      expect(answer.status).toBe(status);
      expect(await answer.json()).toEqual({ message: "No token to be had just now" });
      expect(results.at(-1)).toBe("unavailable");
    }
  });
});

describe("GET", () => {
  test("the configuration tells where the edges are, and no more", async () => {
    expect(await (await fetch(`${base}/config`)).json()).toEqual({ edges });
  });

  test("the page may connect to itself and to the edges alone", async () => {
    const answer = await fetch(base);
    const policy = answer.headers.get("content-security-policy") ?? "";

    expect(answer.headers.get("content-type")).toStartWith("text/html");
    expect(policy).toContain("connect-src 'self' ws://127.0.0.1:9001;");
    expect(policy).toContain("default-src 'self'");
    expect(answer.headers.get("cache-control")).toBe("no-cache");
  });

  test("every file of the page is served, knows no key, and is kept by its hash", async () => {
    expect(bundle.size).toBeGreaterThan(3);
    for (const [path, { isImmutable }] of bundle) {
      const answer = await fetch(base + path);

      expect(answer.status).toBe(200);
      expect((answer.headers.get("cache-control") ?? "").includes("immutable")).toBe(isImmutable);
      expect(await answer.text()).not.toContain(apiKey);
    }
  });

  test("what is not there is refused", async () => {
    expect((await fetch(`${base}/../settings.ts`)).status).toBe(404);
  });
});

describe("createTokenSource", () => {
  async function refusalOf(url: string, key: string): Promise<unknown> {
    const source = createTokenSource({ url, apiKey: key, timeoutMs: 500 });
    return source.issue("alice").then(
      () => null,
      (error: unknown) => error,
    );
  }

  test("wrong key is no passing trouble, and is not told in the message", async () => {
    const refusal = await refusalOf(tokenService.url.href, "another-key");

    expect(refusal).toBeInstanceOf(TokenRefused);
    expect(refusal).toMatchObject({ status: 502, message: "Token service answered with 403" });
  });

  test("token service that is not there is a passing trouble", async () => {
    expect(await refusalOf("http://127.0.0.1:1", apiKey)).toMatchObject({ status: 503 });
  });
});
