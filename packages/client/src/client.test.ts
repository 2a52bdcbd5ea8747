import { afterEach, describe, expect, test } from "bun:test";
import { CloseCode, Command, decodeAuthRequest, decodeReconnectRequest } from "@holdfast/protocol";
import { bytes, clearStage, once, open, startClient, startServer } from "./client-stage.ts";
import { deadlineDefaultMs, within } from "./deadline.ts";
import { ClientStopped, ConnectionLost, RequestFailed, TokenError } from "./index.ts";

afterEach(clearStage);

describe.each(["tcp", "ws"] as const)("createClient on %s", (kind) => {
  test("connect logs in with a token and the handshake of its options", async () => {
    const server = await startServer(kind);
    const client = startClient([server.url], { platform: 4, version: 2, metadata: { a: "b" } });

    const login = client.connect();
    const visit = await server.nextVisit();
    const auth = await visit.nextRequest();
    visit.accept(auth, "s1");

    expect(visit.handshake).toEqual({ version: 2, codec: 1, platform: 4 });
    expect(auth).toMatchObject({ command: Command.auth, requestId: 1, timeoutMs: 20_000 });
    expect(decodeAuthRequest(auth.body)).toEqual({ token: "t1", metadata: { a: "b" } });
    expect(await login).toMatchObject({ sessionId: "s1", limit: 3, online: 1, resumed: false });
    expect(client.state).toBe("open");
  });

  test("a lost connection is resumed on the next URL with the session", async () => {
    const first = await startServer(kind);
    const second = await startServer(kind);
    const client = startClient([first.url, second.url]);
    const opening = client.connect();
    const visit = await first.nextVisit();
    visit.accept(await visit.nextRequest(), "s1");
    await opening;
    const lost = once(client, "close");

    visit.drop();
    const close = await lost;
    const next = await second.nextVisit();
    const reconnect = await next.nextRequest();
    next.accept(reconnect, "s2");
    const login = await client.connect();

    expect(close).toBeNull();
    expect(reconnect.command).toBe(Command.reconnect);
    expect(decodeReconnectRequest(reconnect.body).sessionId).toBe("s1");
    expect(login).toMatchObject({ sessionId: "s2", resumed: true, url: second.url });
  });

  test("requests find their answers in any order", async () => {
    const { client, visit } = await open(await startServer(kind));

    const early = client.request(10, bytes(1));
    const late = client.request(10, bytes(2));
    const [one, two] = [await visit.nextRequest(), await visit.nextRequest()];
    visit.answer(two, 0, bytes(20));
    visit.answer(one, 0, bytes(10));

    expect((await early).body).toEqual(bytes(10));
    expect((await late).body).toEqual(bytes(20));
  });

  test("the code and reason of a Close push are told", async () => {
    const { client, visit } = await open(await startServer(kind));
    const closed = once(client, "close");

    visit.close(CloseCode.serverShutdown, "bye");

    expect(await closed).toEqual({ code: 2, name: "ServerShutdown", reason: "bye" });
  });

  test("heartbeat measures the way there and back, and close ends the connection", async () => {
    const { client, visit } = await open(await startServer(kind));

    const latency = client.heartbeat();
    const heartbeat = await visit.nextRequest();
    visit.answer(heartbeat, 0, heartbeat.body);
    const latencyMs = await latency;
    await client.close();
    await visit.waitEnd();

    expect(heartbeat.command).toBe(Command.heartbeat);
    expect(latencyMs).toBeGreaterThanOrEqual(0);
    expect(client.state).toBe("stopped");
  });
});

describe("login", () => {
  test("a refused session gives way to a fresh token on the same connection", async () => {
    const server = await startServer();
    const { client, visit } = await open(server);
    visit.end();
    const next = await server.nextVisit();

    next.fail(await next.nextRequest(), { status: 5, code: 401, text: "session expired" });
    const auth = await next.nextRequest();
    next.accept(auth, "s2");
    const login = await client.connect();

    expect(decodeAuthRequest(auth.body).token).toBe("t2");
    expect(login).toMatchObject({ sessionId: "s2", resumed: false });
  });

  test("a session that is out of date is not tried", async () => {
    const server = await startServer();
    const client = startClient([server.url], { session: { sessionId: "old", expiresAtMs: 1 } });
    client.connect().catch(() => {});

    const visit = await server.nextVisit();

    expect((await visit.nextRequest()).command).toBe(Command.auth);
  });

  test("a session of an earlier run is resumed", async () => {
    const server = await startServer();
    const session = { sessionId: "saved", expiresAtMs: Date.now() + 60_000 };
    const client = startClient([server.url], { session });
    client.connect().catch(() => {});

    const visit = await server.nextVisit();
    const reconnect = await visit.nextRequest();

    expect(decodeReconnectRequest(reconnect.body).sessionId).toBe("saved");
  });

  test("a store that fails costs a new attempt, not the session", async () => {
    const server = await startServer();
    const { client, visit } = await open(server);
    visit.end();
    const next = await server.nextVisit();

    next.fail(await next.nextRequest(), { status: 7, code: 503, text: "service unavailable" });
    const third = await server.nextVisit();
    const reconnect = await third.nextRequest();

    expect(decodeReconnectRequest(reconnect.body).sessionId).toBe("s1");
    expect(client.session?.sessionId).toBe("s1");
  });

  test("a refused token rejects connect, which may be called again", async () => {
    const server = await startServer();
    const client = startClient([server.url]);
    const login = client.connect();
    const visit = await server.nextVisit();
    visit.fail(await visit.nextRequest(), { status: 5, code: 401, text: "token invalid" });
    const refused = await login.catch((error: unknown) => error);
    await visit.waitEnd();

    const again = client.connect();
    const next = await server.nextVisit();
    next.accept(await next.nextRequest(), "s1");

    expect(refused).toBeInstanceOf(RequestFailed);
    expect(refused).toMatchObject({ status: 5, code: 401, message: "token invalid" });
    expect(await again).toMatchObject({ sessionId: "s1" });
  });

  test("a token that cannot be fetched rejects connect with its cause", async () => {
    const cause = new Error("token service is away");
    const server = await startServer();
    const client = startClient([server.url], { token: () => Promise.reject(cause) });

    const error = await client.connect().catch((reason: unknown) => reason);

    expect(error).toBeInstanceOf(TokenError);
    expect(error).toMatchObject({ cause });
    expect(client.state).toBe("idle");
  });

  test("an answer that is no login costs the connection", async () => {
    const server = await startServer();
    startClient([server.url])
      .connect()
      .catch(() => {});
    const visit = await server.nextVisit();

    visit.answer(await visit.nextRequest(), 0, bytes(0xff));
    await visit.waitEnd();

    expect(await server.nextVisit()).toBeDefined();
  });

  test("pushes behind the login come after the event open", async () => {
    const server = await startServer();
    const client = startClient([server.url]);
    const order: string[] = [];
    client.on("open", () => order.push("open"));
    const pushed = new Promise<void>((resolve) => {
      client.onPush(9, () => {
        order.push("push");
        resolve();
      });
    });
    client.connect().catch(() => {});

    const visit = await server.nextVisit();
    visit.accept(await visit.nextRequest(), "s1");
    visit.push(9, bytes());
    await within(pushed, deadlineDefaultMs, () => "the push");

    expect(order).toEqual(["open", "push"]);
  });
});

describe("duplicate", () => {
  test("a client that was pushed out stops", async () => {
    const { client, visit } = await open(await startServer());
    const states: unknown[] = [];
    client.on("reconnecting", (value) => states.push(value));
    const stopped = once(client, "stopped");

    visit.close(CloseCode.connectDuplicate, "duplicate login");

    expect(await stopped).toEqual({
      why: "duplicate",
      close: { code: 6, name: "ConnectDuplicate", reason: "duplicate login" },
    });
    expect(states).toEqual([]);
    expect(client.session).toBeNull();
    await expect(client.request(10, bytes())).rejects.toBeInstanceOf(ConnectionLost);
  });

  test("a client that was told to takes its place back", async () => {
    const server = await startServer();
    const { visit } = await open(server, { onDuplicate: "resume" });

    visit.close(CloseCode.connectDuplicate, "session taken over");
    const next = await server.nextVisit();

    expect((await next.nextRequest()).command).toBe(Command.reconnect);
  });

  test("a login that is pushed out rejects connect", async () => {
    const server = await startServer();
    const login = startClient([server.url]).connect();
    const visit = await server.nextVisit();
    await visit.nextRequest();

    visit.close(CloseCode.connectDuplicate, "duplicate login");

    expect(await login.catch((error: unknown) => error)).toBeInstanceOf(ClientStopped);
  });

  test("a session that the server ended is forgotten", async () => {
    const server = await startServer();
    const { visit } = await open(server);

    visit.close(CloseCode.sessionExpired, "session ended");
    const next = await server.nextVisit();

    expect((await next.nextRequest()).command).toBe(Command.auth);
  });
});
