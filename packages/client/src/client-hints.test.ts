import { afterEach, describe, expect, test } from "bun:test";
import { CloseCode, Command, decodeAuthRequest, decodeReconnectRequest } from "@holdfast/protocol";
import { clearStage, once, open, startClient, startServer } from "./client-stage.ts";
import { HttpUpgradeError, retryAfterOf } from "./errors.ts";
import { ClientStopped } from "./index.ts";
import { createManualClock } from "./manual-clock.ts";

afterEach(clearStage);

describe("hints of a Close", () => {
  test("a wait that the server asks for comes before the next attempt, and jitter on top", async () => {
    const clock = createManualClock();
    const server = await startServer();
    const backoff = { firstMs: 1_000, maxMs: 1_000 };
    const options = { clock, backoff, random: () => 0.5, tickMs: 100 };
    const { client, visit } = await open(server, options);
    const told = once(client, "reconnecting");

    visit.close(CloseCode.serverShutdown, "server shutdown", { retryAfterMs: 2_000 });
    const { delayMs } = await told;
    await clock.advance(2_400);
    const early = server.visitsCount;
    await clock.advance(200);
    const next = await server.nextVisit();

    expect(delayMs).toBe(2_500);
    expect(early).toBe(1);
    expect((await next.nextRequest()).command).toBe(Command.reconnect);
  });

  test("a wait beyond retryAfterMaxMs is cut to it", async () => {
    const { client, visit } = await open(await startServer(), { retryAfterMaxMs: 7 });
    const told = once(client, "reconnecting");

    visit.close(CloseCode.serverError, "service unavailable", { retryAfterMs: 4_294_967_295 });

    expect((await told).delayMs).toBeWithin(7, 9);
  });

  test("a client that is told to stay away stops, and says what it was told", async () => {
    const server = await startServer();
    const { client, visit } = await open(server);
    const stopped = once(client, "stopped");

    visit.close(CloseCode.sessionExpired, "session ended", { reconnect: false });

    expect(await stopped).toEqual({
      why: "told",
      close: {
        code: 5,
        name: "SessExpired",
        reason: "session ended",
        hints: { reconnect: false },
      },
    });
    expect(client.state).toBe("stopped");
    expect(client.session).toBeNull();
    expect(server.visitsCount).toBe(1);
  });

  test("a login that is told to stay away rejects connect with what was said", async () => {
    const server = await startServer();
    const { client, visit } = await open(server);
    const closed = once(client, "close");
    visit.drop();
    await closed;
    const login = client.connect().catch((error: unknown) => error);

    (await server.nextVisit()).close(3, "bad-version", { reconnect: false });
    const error = await login;

    expect(error).toBeInstanceOf(ClientStopped);
    expect(error).toMatchObject({ why: "told", close: { code: 3, reason: "bad-version" } });
  });

  test("reconnect true is what a client does anyway", async () => {
    const server = await startServer();
    const { visit } = await open(server);

    visit.close(CloseCode.serverError, "internal error", { reconnect: true });

    expect((await (await server.nextVisit()).nextRequest()).command).toBe(Command.reconnect);
  });

  test("onDuplicate resume outranks the hint, since it is the owner's word", async () => {
    const server = await startServer();
    const { visit } = await open(server, { onDuplicate: "resume" });

    visit.close(CloseCode.connectDuplicate, "duplicate login", { reconnect: false });

    expect((await (await server.nextVisit()).nextRequest()).command).toBe(Command.reconnect);
  });

  test("takeBack logs in with a fresh token after a duplicate", async () => {
    const server = await startServer();
    const { client, visit } = await open(server);
    const stopped = once(client, "stopped");
    visit.close(CloseCode.connectDuplicate, "duplicate login", { reconnect: false });
    await stopped;

    const login = client.takeBack();
    const next = await server.nextVisit();
    const auth = await next.nextRequest();
    next.accept(auth, "s2");

    expect(decodeAuthRequest(auth.body).token).toBe("t2");
    expect(await login).toMatchObject({ sessionId: "s2", resumed: false });
    expect(client.state).toBe("open");
  });

  test("hints behind a refused login count, too", async () => {
    const server = await startServer();
    const { client, visit } = await open(server);
    visit.drop();
    const next = await server.nextVisit();
    await next.nextRequest();
    const told = once(client, "reconnecting");

    next.close(CloseCode.serverError, "memory limit", { retryAfterMs: 20 });

    expect((await told).delayMs).toBeWithin(20, 22);
  });
});

describe("hints of a refusal", () => {
  const passing = { firstMs: 1, maxMs: 1 };

  test.each([
    { status: 7, code: 503, text: "service unavailable", retryAfterMs: 30 },
    { status: 3, code: 429, text: "request rate limit", retryAfterMs: 30 },
  ])("a login refused with $code waits as told, and keeps its session", async (refusal) => {
    const server = await startServer();
    const { client, visit } = await open(server, { backoff: passing });
    visit.end();
    const next = await server.nextVisit();
    const request = await next.nextRequest();
    const told = once(client, "reconnecting");

    next.fail(request, refusal);
    const { delayMs } = await told;
    const third = await server.nextVisit();

    expect(delayMs).toBeWithin(30, 32);
    expect(decodeReconnectRequest((await third.nextRequest()).body).sessionId).toBe("s1");
  });

  test("the first login may be refused for a while, and still succeeds", async () => {
    const server = await startServer();
    const client = startClient([server.url], { backoff: passing });
    const login = client.connect();
    const visit = await server.nextVisit();
    const refusal = { status: 3, code: 429, text: "request rate limit", retryAfterMs: 1 };
    visit.fail(await visit.nextRequest(), refusal);

    const next = await server.nextVisit();
    next.accept(await next.nextRequest(), "s1");

    expect(await login).toMatchObject({ sessionId: "s1" });
  });
});

describe("retryAfterOf", () => {
  test("a refused upgrade says it in whole seconds, anything else says nothing", () => {
    const upgrade = (seconds: string) =>
      new HttpUpgradeError({ status: 503, body: "", headers: { "retry-after": seconds } });

    expect(retryAfterOf(upgrade("3"))).toBe(3000);
    expect(retryAfterOf(upgrade("Wed, 21 Oct 2026 07:28:00 GMT"))).toBe(0);
    expect(retryAfterOf(upgrade("-1"))).toBe(0);
    expect(retryAfterOf(new Error("lost"))).toBe(0);
  });
});
