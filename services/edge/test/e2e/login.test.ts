import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Command } from "@holdfast/protocol";
import { startEdge, type TestEdge, transports } from "../support/edge.ts";
import {
  accepted,
  auth,
  authBody,
  bytesOf,
  expectClose,
  expectError,
  nothing,
  openSession,
  push,
  reconnect,
  reconnectBody,
  request,
  response,
  settle,
} from "../support/packets.ts";
import { echo } from "../support/scripted-upstream.ts";

const ttlMs = 600_000;
let edge: TestEdge;

beforeAll(async () => {
  const settings = { EDGE_REFUSAL_GRACE_MS: 1000, EDGE_SESSION_TTL_MS: ttlMs };
  edge = await startEdge({ settings });
});
afterAll(() => edge[Symbol.asyncDispose]());

for (const transport of transports) {
  describe(`before login on ${transport}`, () => {
    test("heartbeat is answered with the same bytes, which need not be protobuf", async () => {
      const wire = await edge.open(transport); // [D17]

      for (const body of [nothing, bytesOf("\xff any bytes"), new Uint8Array(3000)]) {
        const answer = await wire.request(Command.heartbeat, body);
        expect({ status: answer.status, body: [...answer.body] }).toEqual({
          ...{ status: 0, body: [...body] },
        });
      }
    });

    test("request of command 0 is answered 3 / 404", async () => {
      const wire = await edge.open(transport);

      expectError(await wire.request(Command.close, nothing), "unknownCommand");
    });

    test("request of an application is answered 5 / 401, and the connection stays", async () => {
      const wire = await edge.open(transport);

      expectError(await wire.request(echo, bytesOf("early")), "unauthenticated");
      expectError(await wire.request(99, nothing), "unauthenticated");

      accepted(await auth(wire, await edge.issueToken(`early-${transport}`)));
    });

    test("16 early requests are answered, and the 17th gets Close 4", async () => {
      const wire = await edge.open(transport);

      for (let count = 1; count <= 16; count++) {
        expectError(await wire.request(echo, nothing), "unauthenticated");
      }
      await settle(wire);
      wire.sendBytes(request(echo, 99));

      await expectClose(wire, transport, 4, "too many requests before auth");
    });

    test("Close push from the client ends the connection without a Close", async () => {
      const wire = await edge.open(transport); // [D15]

      wire.sendBytes(push(Command.close));

      expect(await wire.waitClosed()).toMatchObject({
        ...{ closePush: null, how: "fin", wsCode: transport === "ws" ? 1000 : null },
      });
    });

    test("other pushes and all responses are ignored", async () => {
      const wire = await edge.open(transport);
      for (const command of [1, 2, 3, 4, 255]) {
        wire.sendBytes(push(command));
        wire.sendBytes(response(command, 1));
      }
      wire.sendBytes(response(0, 1));

      await settle(wire);
    });
  });

  describe(`login on ${transport}`, () => {
    test("auth tells session id, absolute expiry, limit and the true number online", async () => {
      const startMs = Date.now();
      const account = `three-${transport}`;
      const first = await openSession(edge, transport, account, { limit: 3 });
      const second = await openSession(edge, transport, account, { limit: 3 });

      expect(first.session.sessionId).toMatch(/^[A-Za-z0-9_.-]{40,128}$/);
      const latestMs = Date.now() + ttlMs;
      expect(first.session.expiresAtMs).toBeWithin(startMs + ttlMs, latestMs + 1); // [D22]
      expect(first.session).toMatchObject({ limit: 3, online: 1 });
      expect(second.session).toMatchObject({ limit: 3, online: 2 });
    });

    test("token works once", async () => {
      const token = await edge.issueToken(`once-${transport}`, { limit: 5 }); // [D19]
      accepted(await auth(await edge.open(transport), token));

      expectError(await auth(await edge.open(transport), token), "tokenInvalid");
    });

    test("two connections with one token at once: one of them is let in", async () => {
      const token = await edge.issueToken(`race-${transport}`, { limit: 5 });
      const wires = await Promise.all([edge.open("tcp"), edge.open("ws"), edge.open(transport)]);

      const answers = await Promise.all(wires.map((wire) => auth(wire, token)));

      expect(answers.map(({ status }) => status).sort()).toEqual([0, 5, 5]);
    });

    test.each([
      ["auth", "an empty token", Command.auth, authBody("")],
      ["auth", "a body that is no protobuf", Command.auth, Uint8Array.of(0xff, 0xff)],
      ["reconnect", "an empty session id", Command.reconnect, reconnectBody("")],
      ["reconnect", "a bare text", Command.reconnect, bytesOf("otp-in-the-old-way")],
    ] as const)("%s with %s is answered 3 / 400", async (_kind, _what, command, body) => {
      const wire = await edge.open(transport);

      expectError(await wire.request(command, body), "invalidBody");
    });

    test("unknown token is answered 5 / 401", async () => {
      expectError(await auth(await edge.open(transport), "nobody.knows"), "tokenInvalid");
    });

    test("unknown session is answered 5 / 401", async () => {
      expectError(await reconnect(await edge.open(transport), "a.b.c"), "sessionExpired");
    });

    test("metadata of 64 entries and 8 KiB is let in, and given to the upstream", async () => {
      const metadata = metadataOf(64, 8192); // [§7.6]
      const wire = await edge.open(transport);
      const token = await edge.issueToken(`metadata-${transport}`);

      accepted(await wire.request(Command.auth, authBody(token, metadata)));
      await wire.request(echo, nothing);

      expect(edge.upstream.calls.at(-1)?.session.clientMetadata).toEqual(metadata);
    });

    test.each([
      [65, 8192],
      [64, 8193],
    ])(
      "metadata of %d entries and %d bytes is 3 / 400, and the token stays good",
      async (entries, bytes) => {
        const wire = await edge.open(transport);
        const token = await edge.issueToken(`much-${entries}-${transport}`);
        const body = authBody(token, metadataOf(entries, bytes));

        expectError(await wire.request(Command.auth, body), "invalidBody");

        accepted(await auth(wire, token));
      },
    );

    test("metadata of a reconnect replaces what was stored, an empty one keeps it", async () => {
      const wire = await edge.open(transport);
      const token = await edge.issueToken(`languages-${transport}`);
      const { sessionId } = accepted(
        await wire.request(Command.auth, authBody(token, { "accept-language": "en" })),
      );
      const second = await edge.open(transport);
      const kept = accepted(await reconnect(second, sessionId));
      await second.request(echo, nothing);
      expect(edge.upstream.calls.at(-1)?.session.clientMetadata).toEqual({
        "accept-language": "en",
      });
      const third = await edge.open(transport);

      const body = reconnectBody(kept.sessionId, { need_over_night_quote: "true" });
      accepted(await third.request(Command.reconnect, body));
      await third.request(echo, nothing);

      expect(edge.upstream.calls.at(-1)?.session.clientMetadata).toEqual({
        need_over_night_quote: "true",
      });
    });

    test("reconnect returns a new id, the absolute expiry, limit and online", async () => {
      const { wire, session } = await openSession(edge, transport, `back-${transport}`, {
        limit: 2,
      });
      wire.reset();
      const startMs = Date.now();

      const answer = accepted(await reconnect(await edge.open(transport), session.sessionId));

      expect(answer.sessionId).not.toBe(session.sessionId);
      expect(answer.expiresAtMs).toBeWithin(startMs + ttlMs, Date.now() + ttlMs + 1);
      expect(answer).toMatchObject({ limit: 2, online: 1 });
    });
  });

  describe(`once logged in on ${transport}`, () => {
    test("heartbeat is answered, body echoed", async () => {
      const { wire } = await openSession(edge, transport);

      await settle(wire);
    });

    test("second Auth or Reconnect is answered 3 / 409, and does not use up the token", async () => {
      const { wire, session } = await openSession(edge, transport);
      const token = await edge.issueToken(`unused-${transport}`);

      expectError(await auth(wire, token), "alreadyAuthenticated");
      expectError(await reconnect(wire, session.sessionId), "alreadyAuthenticated");

      accepted(await auth(await edge.open(transport), token));
      await settle(wire);
    });

    test("request of command 0 is answered 3 / 404", async () => {
      const { wire } = await openSession(edge, transport);

      expectError(await wire.request(Command.close, nothing), "unknownCommand");
    });

    test("pushes and responses that nobody asked for are ignored", async () => {
      const { wire } = await openSession(edge, transport);
      for (const command of [1, 2, 3, 4, 255]) {
        wire.sendBytes(push(command));
        wire.sendBytes(response(command, 4_294_967_295));
      }

      await settle(wire);
    });

    test("Close push from the client ends the connection, and keeps the session", async () => {
      const { wire, session } = await openSession(edge, transport);

      wire.sendBytes(push(Command.close, bytesOf("whatever")));

      expect(await wire.waitClosed()).toEqual({
        ...{ closePush: null, wsCode: transport === "ws" ? 1000 : null, wsReason: "" },
        ...{ bytesAfterClose: 0, how: "fin" },
      });
      accepted(await reconnect(await edge.open(transport), session.sessionId));
    });

    test("end of the stream keeps the session", async () => {
      const { wire, session } = await openSession(edge, transport);

      wire.reset();

      accepted(await reconnect(await edge.open(transport), session.sessionId));
    });
  });
}

describe("WebSocket close from the client", () => {
  test.each([1000, 1001, 4999, null])(
    "close frame %p is answered with a frame and no push",
    async (code) => {
      const { wire, session } = await openSession(edge, "ws");

      wire.sendClose(code, code === null ? "" : "bye");

      const ended = await wire.waitClosed();
      expect({ push: ended.closePush, how: ended.how }).toEqual({ push: null, how: "fin" });
      expect(ended.wsCode).toBe(code);
      accepted(await reconnect(await edge.open("ws"), session.sessionId));
    },
  );
});

function metadataOf(entries: number, bytes: number): Record<string, string> {
  const metadata: Record<string, string> = {};
  for (let index = 0; index < entries; index++) metadata[`k${index + 100}`] = "";
  metadata["k100"] = "v".repeat(bytes - 4 * entries); // keys have four letters
  return metadata;
}
