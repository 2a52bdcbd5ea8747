/** One address, or one account, that asks for more than it is to have. */
import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { HttpUpgradeError } from "@holdfast/client/wire";
import { Command, decodeErrorBody, encodeTcpHandshake, type Response } from "@holdfast/protocol";
import { createSecret, formatSessionId, type SessionRegistry, tagOf } from "@holdfast/session";
import { until } from "../support/arrivals.ts";
import { startEdge, type TestEdge, type TransportName, transports } from "../support/edge.ts";
import {
  auth,
  bytesOf,
  expectClose,
  expectError,
  expectSilentEnd,
  openSession,
  reconnect,
  request,
  settle,
} from "../support/packets.ts";

/** TCP is ended without a word, WebSocket is told 429 and when to come back. */
async function expectTooMany(edge: TestEdge, transport: TransportName): Promise<void> {
  if (transport === "tcp") {
    await expectSilentEnd(await edge.open("tcp"));
    return;
  }
  const error: HttpUpgradeError = await edge.open("ws").catch((caught) => caught);
  expect(error).toBeInstanceOf(HttpUpgradeError);
  expect({ status: error.status, body: error.body }).toEqual({
    ...{ status: 429, body: "too many requests" },
  });
  expect(Number(error.headers["retry-after"])).toBeGreaterThan(0);
}

function expectLimited(answer: Response): void {
  expectError(answer, "rateLimit");
  expect(decodeErrorBody(answer.body).retryAfterMs).toBeGreaterThanOrEqual(500);
}

/** How often the store was asked. */
function countCalls() {
  const calls = { login: 0, resume: 0 };
  const wrapRegistry = (registry: SessionRegistry): SessionRegistry => ({
    ...registry,
    login(...args) {
      calls.login++;
      return registry.login(...args);
    },
    resume(...args) {
      calls.resume++;
      return registry.resume(...args);
    },
  });
  return { calls, wrapRegistry };
}

function unknownSession(account: string): string {
  const secret = createSecret();
  return formatSessionId({ tag: tagOf(account), sid: secret.slice(0, 16), secret });
}

for (const transport of transports) {
  const rejected = (edge: TestEdge, reason: string) =>
    edge.metric("holdfast_connections_rejected_total", { transport, reason });

  describe(`one address on ${transport}`, () => {
    test("it has as many connections open as its limit, and one that ends makes room", async () => {
      await using edge = await startEdge({ settings: { EDGE_ADDRESS_CONNECTIONS_MAX: 3 } });
      const other = await edge.open(transport === "tcp" ? "ws" : "tcp");
      const wires = [await edge.open(transport), await edge.open(transport)];
      for (const wire of [other, ...wires]) await settle(wire);

      await expectTooMany(edge, transport);

      expect(await rejected(edge, "ip_open")).toBe(1);
      wires[0]?.reset();
      await until(() => edge.edge.connections === 2, "one has left");
      await settle(await edge.open(transport));
    });

    test("it opens as many at once as its burst", async () => {
      const settings = { EDGE_ADDRESS_CONNECT_RATE: 1, EDGE_ADDRESS_CONNECT_BURST: 10 };
      await using edge = await startEdge({ settings });
      for (let each = 0; each < 10; each++) await settle(await edge.open(transport));

      // However slow this is, thirty more do not take half a minute.
      for (let each = 0; each < 30 && (await rejected(edge, "ip_rate")) === 0; each++) {
        const wire = await edge.open(transport).catch(() => null);
        await wire?.request(Command.heartbeat, bytesOf("there?")).catch(() => null);
      }

      expect(await rejected(edge, "ip_rate")).toBe(1);
      expect(await edge.metric("holdfast_rate_limiter_keys", { scope: "ip" })).toBe(1);
    });

    test("it has no limit where its network is allowed", async () => {
      const settings = { EDGE_ADDRESS_CONNECTIONS_MAX: 1, EDGE_ADDRESS_ALLOW: "127.0.0.0/8" };
      await using edge = await startEdge({ settings });

      for (let each = 0; each < 5; each++) await settle(await edge.open(transport));
    });

    test("its logins beyond the burst get 3 / 429, failed ones count, and others are served", async () => {
      const settings = { EDGE_ADDRESS_LOGIN_RATE: 1, EDGE_ADDRESS_LOGIN_BURST: 10 };
      const grace = { EDGE_REFUSAL_GRACE_MS: 300 };
      const { calls, wrapRegistry } = countCalls();
      await using edge = await startEdge({ settings: { ...settings, ...grace }, wrapRegistry });
      const { wire: open } = await openSession(edge, transport);
      for (let each = 0; each < 9; each++) {
        expectError(await auth(await edge.open(transport), "nonsense"), "tokenInvalid");
      }

      let wire = await edge.open(transport);
      let answer = await auth(wire, "nonsense");
      for (let each = 0; each < 20 && answer.status !== 3; each++) {
        wire = await edge.open(transport);
        answer = await auth(wire, "nonsense");
      }

      expectLimited(answer);
      await settle(open);
      expect(calls.login).toBe(1); // nonsense is no question for the store
      expect(await edge.metric("holdfast_rate_limited_total", { scope: "ip" })).toBe(1);
      await expectClose(wire, transport, 4, "login rate limit");
    });
  });

  describe(`one account on ${transport}`, () => {
    test("its logins beyond the burst get 3 / 429 without a question to the store", async () => {
      const settings = { EDGE_ACCOUNT_LOGIN_RATE: 1, EDGE_ACCOUNT_LOGIN_BURST: 20 };
      const { calls, wrapRegistry } = countCalls();
      await using edge = await startEdge({ settings, wrapRegistry });
      const answers: Response[] = [];
      for (let each = 0; each < 60; each++) {
        const wire = await edge.open(transport);
        answers.push(await reconnect(wire, unknownSession("alice")));
        wire.reset();
      }

      const limited = answers.filter(({ status }) => status === 3);
      expect(answers.slice(0, 20).every(({ status }) => status === 5)).toBe(true);
      expect(limited.length).toBeGreaterThan(0);
      expectLimited(limited[0]!); // there is one
      expect(calls.resume).toBe(60 - limited.length);
      const scope = { scope: "account" };
      expect(await edge.metric("holdfast_rate_limited_total", scope)).toBe(limited.length);
      await openSession(edge, transport, "bob"); // others are not limited
    });

    test("its token is not used up by a login that was limited", async () => {
      const settings = { EDGE_ACCOUNT_LOGIN_RATE: 100, EDGE_ACCOUNT_LOGIN_BURST: 1 };
      await using edge = await startEdge({ settings });
      const token = await edge.issueToken("alice");
      await reconnect(await edge.open(transport), unknownSession("alice"));

      await until(async () => {
        const other = await edge.open(transport);
        const { status } = await auth(other, token);
        if (status !== 0) other.reset();
        return status === 0;
      }, "it is let in");

      expect(await edge.online("alice")).toBe(1);
    });
  });

  describe(`a refused session id on ${transport}`, () => {
    test("it is asked of the store once, however often it comes back", async () => {
      const { calls, wrapRegistry } = countCalls();
      const settings = { EDGE_REFUSED_SESSION_MS: 60_000 };
      await using edge = await startEdge({ settings, wrapRegistry });
      const id = unknownSession("alice");

      for (let each = 0; each < 5; each++) {
        const wire = await edge.open(transport);
        expectError(await reconnect(wire, id), "sessionExpired");
        wire.reset();
      }

      expect(calls.resume).toBe(1);
      const outcome = { kind: "reconnect", outcome: "expired" };
      expect(await edge.metric("holdfast_auth_total", outcome)).toBe(5);
      await reconnect(await edge.open(transport), unknownSession("alice"));
      expect(calls.resume).toBe(2); // another id of the account is another question
    });
  });
}

describe("another address", () => {
  test("it is served while the first one is at its limit", async () => {
    await using edge = await startEdge({ settings: { EDGE_ADDRESS_CONNECTIONS_MAX: 1 } });
    await settle(await edge.open("tcp"));
    await expectTooMany(edge, "tcp");

    const { tcpPort: port } = edge.edge;
    const other = connect({ host: "127.0.0.1", port, localAddress: "127.0.0.2" });
    const { promise: answered, resolve, reject } = Promise.withResolvers<Buffer>();
    other.on("data", resolve).on("close", () => reject(new Error("It was refused")));
    other.write(encodeTcpHandshake({ version: 1, codec: 1, platform: 9 }));
    other.write(request(Command.heartbeat, 7));

    expect((await answered).length).toBeGreaterThan(0);
    other.destroy();
  });
});
