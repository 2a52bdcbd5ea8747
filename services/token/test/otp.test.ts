/** GET /v1/socket/token over real HTTP: what it gives, and every way it refuses. [§8.1] [§8.3] */
import { afterEach, describe, expect, test } from "bun:test";
import { createSilentLog } from "@holdfast/runtime";
import { RegistryUnavailable, type SessionRegistry } from "@holdfast/session";
import {
  bodyOf,
  nowSeconds,
  presentedAt,
  seat,
  signed,
  startService,
  type TestService,
} from "./rig.ts";

const running: TestService[] = [];
async function start(...options: Parameters<typeof startService>): Promise<TestService> {
  const service = await startService(...options);
  running.push(service);
  return service;
}
afterEach(async () => {
  for (const service of running.splice(0)) await service.stop();
});

const seats = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ node: "edge-1", connection: `c${index}` }));

describe("GET /v1/socket/token", () => {
  test.each(["/v1/socket/token", "/v2/socket/token"])("%s gives a one-time token", async (path) => {
    const { ask, metric } = await start();

    const answer = await ask(path, { headers: signed({ path }) });

    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(answer.headers.get("x-trace-id")).toMatch(/^[0-9a-f]{32}$/);
    expect(await bodyOf(answer)).toEqual({
      code: 0,
      message: "success",
      msg: "success",
      data: {
        otp: expect.stringMatching(/^[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{22,}$/),
        limit: 3,
        online: 0,
      },
    });
    expect(await metric('holdfast_tokens_issued_total{outcome="ok"}')).toEndWith(" 1");
  });

  test("token opens a session of the account, once", async () => {
    const { ask, registry } = await start();
    const { data } = await bodyOf(await ask("/v1/socket/token", { headers: signed() }));
    const presented = presentedAt("edge-1", "c1");

    const claim = await registry.login(String(data?.["otp"]), presented);
    const again = await registry.login(String(data?.["otp"]), {
      ...presented,
      seat: { node: "edge-1", connection: "c2" },
    });

    expect(claim).toMatchObject({ session: { account: "alice", seatsMax: 3, policy: "displace" } });
    expect(again).toBe("replayed");
  });

  test("token lives as long as it is told to", async () => {
    const { ask, registry, clock } = await start({ TOKEN_OTP_TTL_MS: "5000" });
    const { data } = await bodyOf(await ask("/v1/socket/token", { headers: signed() }));
    const presented = presentedAt("edge-1", "c1");

    await clock.advance(5001);

    expect(await registry.login(String(data?.["otp"]), presented)).toBe("token");
  });

  test("account without a limit of its own has the configured one", async () => {
    const { ask } = await start({ TOKEN_CONNECTION_LIMIT: "7" });

    const answer = await ask("/v1/socket/token", { headers: signed({ token: "tok-default" }) });

    expect((await bodyOf(answer)).data).toMatchObject({ limit: 7, online: 0 });
  });

  test("same request twice gets two tokens", async () => {
    const { ask } = await start();

    const one = await bodyOf(await ask("/v1/socket/token", { headers: signed() }));
    const two = await bodyOf(await ask("/v1/socket/token", { headers: signed() }));

    expect([one.code, two.code]).toEqual([0, 0]);
    expect(one.data?.["otp"]).not.toBe(two.data?.["otp"]);
  });
});

describe("online, as a newcomer is told [D34]", () => {
  test.each([
    ["displace", "alice", "tok1", 3, 2, 2],
    ["displace", "alice", "tok1", 3, 3, 2],
    ["displace", "alice", "tok1", 3, 5, 2],
    ["displace", "carol", "tok-default", 1, 1, 0],
    ["reject", "bob", "tok-reject", 2, 1, 1],
    ["reject", "bob", "tok-reject", 2, 2, 2],
    ["reject", "bob", "tok-reject", 2, 3, 3],
  ])("under %s %s with %s and limit %i has %i open and reads %i", async (...row) => {
    const [, account, token, limit, open, online] = row;
    const { ask, registry } = await start();
    await seat(registry, account, seats(open));

    const answer = await ask("/v1/socket/token", { headers: signed({ token }) });

    expect((await bodyOf(answer)).data).toMatchObject({ limit, online });
  });
});

describe("refusals", () => {
  const far = { key: "far", secret: "secret3" };

  test.each([
    ["no app key", { "x-api-key": undefined }, 403, 403203, "apikey illegal"],
    ["an app key nobody knows", signed({ key: "appkey9" }), 403, 403203, "apikey illegal"],
    ["a backend's key", signed({ key: "backend-key-number-1" }), 403, 403203, "apikey illegal"],
    ["no signature", { "x-api-signature": undefined }, 403, 403201, "signature invalid"],
    ["another app's secret", signed({ secret: "secret2" }), 403, 403201, "signature invalid"],
    ["no timestamp", { "x-timestamp": undefined }, 403, 403201, "signature invalid"],
    ["an address that may not", signed(far), 403, 403205, "ip is not allowed"],
    ["an unknown access token", signed({ token: "nobody" }), 401, 401004, "token invalid"],
    ["another app's token", signed({ token: "tok-of-app2" }), 401, 401004, "token invalid"],
    ["an expired access token", signed({ token: "tok-expired" }), 401, 401003, "token expired"],
    ["a bearer token", { authorization: "Bearer tok1" }, 401, 401004, "token invalid"],
  ] as const)("with %s", async (_, changed, status, code, message) => {
    const { ask, metric } = await start();
    const headers = Object.entries<string | undefined>({ ...signed(), ...changed }).filter(
      (header): header is [string, string] => header[1] !== undefined,
    );

    const answer = await ask("/v1/socket/token", { headers });

    expect(answer.status).toBe(status);
    expect(answer.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(answer.headers.get("x-trace-id")).toMatch(/^[0-9a-f]{32}$/);
    expect(await bodyOf(answer)).toEqual({ code, message, msg: message, data: null });
    expect(await metric('holdfast_tokens_issued_total{outcome="denied"}')).toEndWith(" 1");
  });

  test("checks go from the app key over the signature to the access token", async () => {
    const { ask } = await start();
    const codes: number[] = [];
    for (const headers of [
      signed({ key: "nobody", secret: "wrong", token: "nobody" }),
      signed({ secret: "wrong", token: "nobody" }),
      signed({ ...far, token: "nobody" }),
      signed({ token: "nobody" }),
    ]) {
      codes.push((await bodyOf(await ask("/v1/socket/token", { headers }))).code);
    }

    expect(codes).toEqual([403203, 403201, 403205, 401004]);
  });

  test("access token is good until the very moment it expires", async () => {
    const { ask, clock } = await start();
    const headers = signed({ token: "tok-lasting" });

    const before = await bodyOf(await ask("/v1/socket/token", { headers }));
    await clock.advance(1);
    const after = await bodyOf(await ask("/v1/socket/token", { headers }));

    expect([before.code, after.code]).toEqual([0, 401003]);
  });

  test("token of an app is good with that app", async () => {
    const { ask } = await start();
    const headers = signed({ key: "appkey2", secret: "secret2", token: "tok-of-app2" });

    expect((await bodyOf(await ask("/v1/socket/token", { headers }))).code).toBe(0);
  });

  test.each(["POST", "PUT", "DELETE", "PATCH"])("method %s gets 405", async (method) => {
    const { ask } = await start();

    const answer = await ask("/v1/socket/token", { method, headers: signed() });

    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET"]);
    expect(await bodyOf(answer)).toMatchObject({ code: 405000, data: null });
  });

  test.each([
    "/",
    "/v1",
    "/v3/socket/token",
    "/v1/socket/token/",
    "/v1/socket",
    "/metrics",
    "/v1/accounts/a/b/sessions",
  ])("path %s gets 404", async (path) => {
    const { ask } = await start();

    const answer = await ask(path);

    expect(answer.status).toBe(404);
    expect(await bodyOf(answer)).toMatchObject({ code: 404000, message: "not found", data: null });
  });
});

describe("timestamp [D25]", () => {
  const at = (offset: number, unit: "s" | "ms") =>
    unit === "s" ? String(nowSeconds + offset) : String((nowSeconds + offset) * 1000);

  test.each([
    [at(-300, "s"), 0],
    [at(300, "s"), 0],
    [at(-301, "s"), 403201],
    [at(301, "s"), 403201],
    [at(-300, "ms"), 0],
    [at(301, "ms"), 403201],
    [`${at(-300, "s")}.000`, 0],
    [`${nowSeconds + 300}.001`, 403201],
    [`${nowSeconds}.5`, 0],
    ["", 403201],
    ["now", 403201],
    [`-${nowSeconds}`, 403201],
    [`${nowSeconds}.`, 403201],
    ["1e9", 403201],
  ])("timestamp %j gets code %i", async (timestamp, code) => {
    const { ask } = await start();

    const answer = await ask("/v1/socket/token", { headers: signed({ timestamp }) });

    expect((await bodyOf(answer)).code).toBe(code);
  });
});

describe("OAuth mode [D27]", () => {
  const identity = { account: "oauth", seatsMax: 4, policy: "displace" as const, metadata: {} };
  const verifyBearer = async (token: string, clientId: string) =>
    token === "good" && clientId === "client-1" ? identity : null;

  test.each([
    ["Bearer good", "client-1", 0],
    ["bearer good", "client-1", 0],
    ["Bearer bad", "client-1", 401004],
    ["Bearer good", "client-2", 401004],
  ])("with %s of %s a verifier gives code %i", async (authorization, clientId, code) => {
    const { ask } = await start({}, { verifyBearer });

    const answer = await ask("/v1/socket/token", {
      headers: { authorization, "x-api-key": clientId },
    });

    expect((await bodyOf(answer)).code).toBe(code);
  });
});

describe("registry that fails", () => {
  const failing = (issue: SessionRegistry["issue"]) => ({ registry: { issue } as SessionRegistry });

  test("outage is a 503 that says when to come back", async () => {
    const { ask, metric } = await start(
      {},
      failing(() => Promise.reject(new RegistryUnavailable("refused"))),
    );

    const answer = await ask("/v1/socket/token", { headers: signed() });

    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(await bodyOf(answer)).toEqual({
      code: 503000,
      message: "service unavailable",
      msg: "service unavailable",
      data: null,
    });
    expect(await metric('holdfast_tokens_issued_total{outcome="unavailable"}')).toEndWith(" 1");
    expect(
      await metric('holdfast_dependency_errors_total{dependency="redis",reason="refused"}'),
    ).toEndWith(" 1");
  });

  test("registry that does not answer is a 503 within a second", async () => {
    const { promise: asked, resolve } = Promise.withResolvers<void>();
    const { ask, clock, metric } = await start(
      {},
      failing(() => {
        resolve();
        return new Promise(() => {});
      }),
    );

    const answering = ask("/v1/socket/token", { headers: signed() });
    await asked;
    await clock.advance(950);

    expect((await answering).status).toBe(503);
    expect(
      await metric('holdfast_dependency_errors_total{dependency="redis",reason="timeout"}'),
    ).toEndWith(" 1");
  });

  test("bug is a 500 that tells the peer nothing, and the log everything but secrets", async () => {
    const events: string[] = [];
    const write = (event: string, fields: unknown) => void events.push(event, String(fields));
    const { ask, metric } = await start(
      {},
      {
        ...failing(() => Promise.reject(new Error("a detail"))),
        log: { ...createSilentLog(), error: write },
      },
    );

    const answer = await ask("/v1/socket/token", { headers: signed() });

    expect(answer.status).toBe(500);
    expect(await bodyOf(answer)).toEqual({
      code: 500000,
      message: "internal error",
      msg: "internal error",
      data: null,
    });
    expect(events[0]).toBe("request_failed");
    expect(await metric('holdfast_exceptions_total{where="http"}')).toEndWith(" 1");
  });
});
