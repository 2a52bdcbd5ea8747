/** The two calls for a trusted backend, over real HTTP. [§8.4] */
import { afterEach, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { RegistryUnavailable, type SessionRegistry } from "@holdfast/session";
import {
  backendKey,
  bodyOf,
  nowSeconds,
  presentedAt,
  seat,
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

function post(body: unknown, headers: Record<string, string> = backendKey): RequestInit {
  return { method: "POST", headers, body: typeof body === "string" ? body : JSON.stringify(body) };
}

const remove = { method: "DELETE", headers: backendKey };

describe("POST /v1/tokens", () => {
  test("token is issued with the defaults for what is left out", async () => {
    const { ask, registry } = await start();

    const answer = await ask("/v1/tokens", post({ account: "alice" }));

    const { code, data } = await bodyOf(answer);
    expect([answer.status, code]).toEqual([200, 0]);
    expect(data).toEqual({
      token: expect.any(String),
      expires: nowSeconds * 1000 + 300_000,
      limit: 1,
      online: 0,
    });
    const claim = await registry.login(String(data?.["token"]), presentedAt("edge-1", "c1"));
    expect(claim).toMatchObject({
      session: { account: "alice", policy: "displace", metadata: {} },
    });
  });

  test("token carries what the backend says of the account", async () => {
    const { ask, registry } = await start();
    const body = {
      account: "ålice/1 ",
      limit: 5,
      policy: "reject",
      metadata: { plan: "gold" },
      ttlSeconds: 60,
    };

    const { data } = await bodyOf(await ask("/v1/tokens", post(body)));

    expect(data).toMatchObject({ expires: nowSeconds * 1000 + 60_000, limit: 5 });
    const claim = await registry.login(String(data?.["token"]), presentedAt("edge-1", "c1"));
    expect(claim).toMatchObject({
      session: { account: "ålice/1 ", seatsMax: 5, policy: "reject", metadata: { plan: "gold" } },
    });
  });

  test.each([
    ["displace", 2, 1],
    ["reject", 2, 2],
  ])("online under %s with %i of 2 open reads %i [D34]", async (policy, open, online) => {
    const { ask, registry } = await start();
    const seats = Array.from({ length: open }, (_, n) => ({ node: "edge-1", connection: `c${n}` }));
    await seat(registry, "alice", seats);

    const answer = await ask("/v1/tokens", post({ account: "alice", limit: 2, policy }));

    expect((await bodyOf(answer)).data).toMatchObject({ limit: 2, online });
  });

  test("bearer with the key is as good as the header", async () => {
    const { ask } = await start();
    const headers = { authorization: "Bearer backend-key-number-1" };

    expect((await ask("/v1/tokens", post({ account: "a" }, headers))).status).toBe(200);
  });

  test.each([
    ["no key", {}],
    ["a wrong key", { "x-api-key": "backend-key-number-2" }],
    ["an app's key", { "x-api-key": "appkey1" }],
    ["a wrong bearer", { authorization: "Bearer nobody" }],
    ["a key without its scheme", { authorization: "backend-key-number-1" }],
  ])("with %s it gets 403", async (_, headers) => {
    const { ask } = await start();

    const answers = [
      await ask("/v1/tokens", post({ account: "a" }, headers)),
      await ask("/v1/accounts/a/sessions", { method: "DELETE", headers }),
    ];

    for (const answer of answers) {
      expect(answer.status).toBe(403);
      expect(await bodyOf(answer)).toMatchObject({ code: 403203, message: "apikey illegal" });
    }
  });

  test("every mistake is named", async () => {
    const { ask } = await start();
    const body = {
      account: "",
      limit: 0,
      policy: "kick",
      metadata: { a: 1 },
      ttlSeconds: 3601,
      note: "x",
    };

    const answer = await ask("/v1/tokens", post(body));

    const { code, message, msg, data } = await bodyOf(answer);
    expect([answer.status, code, data]).toEqual([400, 400000, null]);
    expect(msg).toBe(message);
    expect(message.split("; ").toSorted()).toEqual([
      "account: must be 1 to 256 bytes of UTF-8",
      "limit: must be an integer from 1 to 1000",
      "metadata.a: must be text",
      "note: is not known here",
      "policy: must be displace or reject",
      "ttlSeconds: must be an integer from 1 to 3600",
    ]);
  });

  const entries = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, ""]));

  test.each([
    ["account", "a"],
    ["account", "a".repeat(256)],
    ["account", "é".repeat(128)],
    ["limit", 1],
    ["limit", 1000],
    ["ttlSeconds", 1],
    ["ttlSeconds", 3600],
    ["metadata", entries(64)],
    ["metadata", { k: "x".repeat(8191) }],
  ])("%s just inside its bound is taken: %j", async (name, value) => {
    const { ask } = await start();

    const answer = await ask("/v1/tokens", post({ account: "a", [name]: value }));

    expect(answer.status).toBe(200);
  });

  test.each([
    ["account", "a".repeat(257)],
    ["account", `${"é".repeat(128)}a`],
    ["account", "\ud800"],
    ["account", 7],
    ["account", null],
    ["limit", 1001],
    ["limit", 1.5],
    ["limit", "5"],
    ["ttlSeconds", 0],
    ["metadata", entries(65)],
    ["metadata", { k: "x".repeat(8192) }],
    ["metadata", ["x"]],
  ])("%s just outside its bound is refused: %j", async (name, value) => {
    const { ask } = await start();

    const answer = await ask("/v1/tokens", post({ account: "a", [name]: value }));

    expect(answer.status).toBe(400);
    expect((await bodyOf(answer)).message).toStartWith(`${name}: must`);
  });

  test.each(["", "{", "nul", "\u0000"])("body that is no JSON is refused: %j", async (body) => {
    const { ask } = await start();

    const answer = await ask("/v1/tokens", post(body));

    expect(await bodyOf(answer)).toMatchObject({
      code: 400000,
      message: "(the whole): must be JSON in UTF-8",
    });
  });

  test.each(["null", "[]", '"x"', "1"])("JSON that is no object is refused: %s", async (body) => {
    const { ask } = await start();

    const answer = await ask("/v1/tokens", post(body));

    expect((await bodyOf(answer)).message).toBe("(the whole): must be an object");
  });

  test.each(["GET", "PUT", "DELETE"])("method %s gets 405", async (method) => {
    const { ask } = await start();

    const answer = await ask("/v1/tokens", { method, headers: backendKey });

    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "POST"]);
  });
});

describe("size and time of a body", () => {
  /** JSON of exactly so many bytes. */
  const padded = (bytes: number) => '{"account":"a"}'.padEnd(bytes, " ");

  test("body of 64 KiB is taken, and one byte more is refused", async () => {
    const { ask } = await start();

    const inside = await ask("/v1/tokens", post(padded(65_536)));
    const outside = await ask("/v1/tokens", post(padded(65_537)));

    expect([inside.status, outside.status]).toEqual([200, 413]);
    expect(await bodyOf(outside)).toMatchObject({ code: 413000, data: null });
  });

  test("body that does not tell its length is cut off at the same bound", async () => {
    const { ask } = await start();
    const chunked = (bytes: number): RequestInit => ({
      method: "POST",
      headers: backendKey,
      body: new Response(padded(bytes)).body,
    });

    expect((await ask("/v1/tokens", chunked(65_536))).status).toBe(200);
    expect((await ask("/v1/tokens", chunked(65_537))).status).toBe(413);
  });

  test("body that does not come in time is refused", async () => {
    const { service, clock } = await start({ TOKEN_REQUEST_TIMEOUT_MS: "10000" });
    const before = clock.waiting;
    const socket = connect(service.httpPort, "127.0.0.1");
    const answered = new Promise<string>((resolve) =>
      socket.on("data", (chunk) => resolve(chunk.toString())),
    );

    socket.write("POST /v1/tokens HTTP/1.1\r\nhost: x\r\nx-api-key: backend-key-number-1\r\n");
    socket.write('content-length: 15\r\n\r\n{"account"');
    for (let turn = 0; turn < 1000 && clock.waiting === before; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    await clock.advance(10_000);

    expect(await answered).toStartWith("HTTP/1.1 408");
    socket.destroy();
  });
});

describe("DELETE /v1/accounts/{account}/sessions", () => {
  test("sessions are ended, and each node is told of its own connections", async () => {
    const { ask, registry, told } = await start();
    await seat(registry, "alice", [
      { node: "edge-1", connection: "c1" },
      { node: "edge-2", connection: "c2" },
      { node: "edge-1", connection: "c3" },
    ]);
    await seat(registry, "bob", [{ node: "edge-1", connection: "c4" }]);
    const seats = await registry.seats("alice");
    const [c1, c2, c3] = seats.map(({ connection, generation }) => ({ connection, generation }));

    const answer = await ask("/v1/accounts/alice/sessions", remove);
    await new Promise((resolve) => setImmediate(resolve));

    expect((await bodyOf(answer)).data).toEqual({ sessions: 3, connections: 3 });
    expect(told.toSorted((a, b) => a.node.localeCompare(b.node))).toEqual([
      {
        node: "edge-1",
        event: { type: "ended", losers: [c1!, c3!], reason: "session ended" }, // of three
      },
      { node: "edge-2", event: { type: "ended", losers: [c2!], reason: "session ended" } },
    ]);
  });

  test("unused tokens of the account are ended too", async () => {
    const { ask, registry } = await start();
    const { data } = await bodyOf(await ask("/v1/tokens", post({ account: "alice" })));

    await ask("/v1/accounts/alice/sessions", remove);

    const claim = await registry.login(String(data?.["token"]), presentedAt("edge-1", "c1"));
    expect(claim).toBe("token");
  });

  test("account without sessions is no mistake, and nobody is told", async () => {
    const { ask, told } = await start();

    const answer = await ask("/v1/accounts/nobody/sessions", remove);
    await new Promise((resolve) => setImmediate(resolve));

    expect((await bodyOf(answer)).data).toEqual({ sessions: 0, connections: 0 });
    expect(told).toEqual([]);
  });

  test.each(["ålice/1 ", "a%b", "?x#y", "..a"])(
    "account %j is found by its escaped name",
    async (account) => {
      const { ask, registry } = await start();
      await seat(registry, account, [{ node: "edge-1", connection: "c1" }]);

      const answer = await ask(`/v1/accounts/${encodeURIComponent(account)}/sessions`, remove);

      expect((await bodyOf(answer)).data).toEqual({ sessions: 1, connections: 1 });
    },
  );

  test.each(["", "%", "%ff", "a".repeat(257)])("account %j is refused", async (escaped) => {
    const { ask } = await start();

    const answer = await ask(`/v1/accounts/${escaped}/sessions`, remove);

    expect([answer.status, (await bodyOf(answer)).message]).toEqual([
      400,
      "account: must be 1 to 256 bytes of UTF-8",
    ]);
  });

  test("method GET gets 405", async () => {
    const { ask } = await start();

    const answer = await ask("/v1/accounts/a/sessions", { headers: backendKey });

    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "DELETE"]);
  });

  test("registry that is out gets 503, and nobody is told", async () => {
    const end = () => Promise.reject(new RegistryUnavailable("loading"));
    const { ask, told } = await start({}, { registry: { end } as unknown as SessionRegistry });

    const answer = await ask("/v1/accounts/a/sessions", remove);

    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(told).toEqual([]);
  });
});
