import { describe, expect, test } from "bun:test";
import { Command, type Packet } from "@holdfast/protocol";
import { until } from "../support/arrivals.ts";
import { startEdge, type TestEdge, transports } from "../support/edge.ts";
import {
  accepted,
  anySessionId,
  anyToken,
  authBody,
  bytesOf,
  expectClose,
  expectError,
  noise,
  nothing,
  push,
  reconnectBody,
  request,
  response,
  sendAll,
  settle,
} from "../support/packets.ts";
import { createGated, type HeldDecision } from "../support/registries.ts";
import { echo, unrouted } from "../support/scripted-upstream.ts";

const kibibyte = 1024;

/** A node whose logins wait until the test lets them go on. */
async function startGated(settings = {}): Promise<{
  edge: TestEdge;
  next: () => Promise<HeldDecision>;
}> {
  let next: () => Promise<HeldDecision> = () => Promise.reject(new Error("Not started"));
  const edge = await startEdge({
    settings: { EDGE_REFUSAL_GRACE_MS: 300, ...settings },
    wrapRegistry(registry) {
      const gated = createGated(registry);
      next = gated.next;
      return gated.registry;
    },
  });
  return { edge, next };
}

function idOf(packet: Packet): number {
  return packet.type === "push" ? -1 : packet.requestId;
}

for (const transport of transports) {
  describe(`while a login is decided on ${transport}`, () => {
    test("requests right behind the Auth are answered after it, in order", async () => {
      const { edge, next } = await startGated(); // [D29]
      await using _ = edge;
      const wire = await edge.open(transport);
      const token = await edge.issueToken("eager");
      const requests = [2, 3, 4].map((id) => request(echo, id, bytesOf(`body ${id}`)));

      sendAll(wire, transport, [request(Command.auth, 1, authBody(token)), ...requests]);
      await (await next()).tell();

      for (const id of [1, 2, 3, 4]) {
        const answer = await wire.next();
        expect(answer).toMatchObject({ type: "response", requestId: id, status: 0 });
        if (id > 1) expect(Buffer.from(answer.body).toString()).toBe(`body ${id}`);
      }
    });

    test("heartbeats are answered meanwhile, ahead of what waits", async () => {
      const { edge, next } = await startGated();
      await using _ = edge;
      const wire = await edge.open(transport);
      const token = await edge.issueToken("beating");
      sendAll(wire, transport, [
        request(Command.auth, 1, authBody(token)),
        request(echo, 2),
        request(Command.heartbeat, 3, bytesOf("beat")),
      ]);

      expect(await wire.next()).toMatchObject({ requestId: 3, command: Command.heartbeat });

      await (await next()).tell();
      expect([idOf(await wire.next()), idOf(await wire.next())]).toEqual([1, 2]);
    });

    test("second Auth or Reconnect is answered 3 / 409, a request of command 0 3 / 404", async () => {
      const { edge, next } = await startGated();
      await using _ = edge;
      const wire = await edge.open(transport);
      const token = await edge.issueToken("double");
      const spare = await edge.issueToken("spare");
      sendAll(wire, transport, [
        request(Command.auth, 1, authBody(token)),
        request(Command.auth, 2, authBody(spare)),
        request(Command.reconnect, 3, reconnectBody(anySessionId)),
        request(Command.close, 4),
        push(9),
        response(9, 1),
      ]);
      const decision = await next();

      expectError(await wire.next(), "alreadyAuthenticated");
      expectError(await wire.next(), "alreadyAuthenticated");
      expectError(await wire.next(), "unknownCommand");
      await decision.tell();
      expect(await wire.next()).toMatchObject({ requestId: 1, status: 0 });
    });

    test("64 packets wait, the 65th is answered 3 / 429", async () => {
      const { edge, next } = await startGated();
      await using _ = edge;
      const wire = await edge.open(transport);
      const token = await edge.issueToken("many");
      const requests = Array.from({ length: 65 }, (_, index) => request(echo, index + 2));
      sendAll(wire, transport, [request(Command.auth, 1, authBody(token)), ...requests]);
      const decision = await next();

      const refused = await wire.next();
      expectError(refused, "rateLimit");
      expect(idOf(refused)).toBe(66);

      await decision.tell();
      for (let id = 1; id <= 65; id++) expect(idOf(await wire.next())).toBe(id);
    });

    test("256 KiB wait, one byte more is answered 3 / 429", async () => {
      const { edge, next } = await startGated();
      await using _ = edge;
      const wire = await edge.open(transport);
      const token = await edge.issueToken("large");
      // On WebSocket a packet waits as it came, with its header of 11 bytes.
      const size = 64 * kibibyte - (transport === "ws" ? 11 : 0);
      const four = [2, 3, 4, 5].map((id) => request(echo, id, noise(size, id)));
      const auth = request(Command.auth, 1, authBody(token));
      sendAll(wire, transport, [auth, ...four, request(echo, 6, noise(1))]);
      const decision = await next();

      const refused = await wire.next();
      expectError(refused, "rateLimit");
      expect(idOf(refused)).toBe(6);

      await decision.tell();
      for (let id = 1; id <= 5; id++) expect(idOf(await wire.next())).toBe(id);
    });

    test("packet above the limit before login waits for the outcome, and is answered", async () => {
      const { edge, next } = await startGated(); // [§5.5]
      await using _ = edge;
      const wire = await edge.open(transport);
      const token = await edge.issueToken("heavy");
      const large = noise(200 * kibibyte);
      sendAll(wire, transport, [
        request(Command.auth, 1, authBody(token)),
        request(echo, 2, large),
        request(echo, 3),
      ]);
      const decision = await next();
      await edge.open(transport).then(settle);

      await decision.tell();

      expect(idOf(await wire.next())).toBe(1);
      const echoed = await wire.next();
      expect(idOf(echoed)).toBe(2);
      expect(Buffer.compare(echoed.body, large)).toBe(0);
      expect(idOf(await wire.next())).toBe(3);
      await settle(wire);
    });

    test("packet above every limit is refused when the outcome is known", async () => {
      const { edge, next } = await startGated({ EDGE_BODY_BYTES_MAX: 100 * kibibyte });
      await using _ = edge;
      const wire = await edge.open(transport);
      const token = await edge.issueToken("heavier");
      sendAll(wire, transport, [
        request(Command.auth, 1, authBody(token)),
        request(echo, 2, noise(101 * kibibyte)),
      ]);

      await (await next()).tell();

      await expectClose(wire, transport, 3, "too-large");
    });

    test("undecodable input ends the connection, and its session", async () => {
      const { edge, next } = await startGated();
      await using _ = edge;
      const wire = await edge.open(transport);
      const token = await edge.issueToken("broken");
      sendAll(wire, transport, [request(Command.auth, 1, authBody(token)), Uint8Array.of(0)]);

      await expectClose(wire, transport, 3, "bad-type");

      await (await next()).tell();
      await until(async () => (await edge.online("broken")) === 0, "the seat is free");
    });

    test("requests behind a refused Auth get 5 / 401 and are not counted", async () => {
      const { edge, next } = await startGated({ EDGE_REFUSAL_GRACE_MS: 5000 });
      await using _ = edge;
      const wire = await edge.open(transport);
      const requests = Array.from({ length: 40 }, (_, index) => request(echo, index + 2));
      const auth = request(Command.auth, 1, authBody(anyToken));
      sendAll(wire, transport, [auth, ...requests, request(Command.heartbeat, 99)]);
      expect(await wire.next()).toMatchObject({ requestId: 99 }); // all have been read
      await (await next()).tell();

      expectError(await wire.next(), "tokenInvalid");
      for (let count = 0; count < 40; count++) expectError(await wire.next(), "unauthenticated");

      for (let count = 0; count < 16; count++) wire.sendBytes(request(unrouted, 100 + count));
      for (let count = 0; count < 16; count++) expectError(await wire.next(), "unauthenticated");
    });

    test("Auth right behind a body that does not parse is decided, with what follows it", async () => {
      const { edge, next } = await startGated();
      await using _ = edge;
      const wire = await edge.open(transport);
      const token = await edge.issueToken("again");
      const large = noise(100 * kibibyte);
      sendAll(wire, transport, [
        request(Command.auth, 1, authBody("")),
        request(Command.auth, 2, authBody(token)),
        request(echo, 3),
        request(echo, 4, large),
      ]);
      const decision = await next();
      expectError(await wire.next(), "invalidBody");
      await edge.open(transport).then(settle);

      await decision.tell();

      expect(await wire.next()).toMatchObject({ requestId: 2, status: 0 });
      expect([idOf(await wire.next()), idOf(await wire.next())]).toEqual([3, 4]);
    });

    test("displaced meanwhile: no response, only Close 6", async () => {
      const { edge, next } = await startGated();
      await using _ = edge;
      const older = await edge.open(transport);
      older.sendBytes(request(Command.auth, 1, authBody(await edge.issueToken("war"))));
      const first = await next();
      await first.decide();
      const newer = await edge.open(transport);
      newer.sendBytes(request(Command.auth, 1, authBody(await edge.issueToken("war"))));
      await (await next()).tell();

      await expectClose(older, transport, 6, "duplicate login");

      await first.tell();
      expect(await newer.next()).toMatchObject({ requestId: 1, status: 0 });
      await expect(older.next()).resolves.toMatchObject({ type: "push", command: 0 });
      await expect(older.next()).rejects.toThrow("ended");
      await settle(newer);
      expect(await edge.online("war")).toBe(1);
    });

    test("client that leaves: a session just created by Auth is ended", async () => {
      const { edge, next } = await startGated();
      await using _ = edge;
      const wire = await edge.open(transport);
      wire.sendBytes(request(Command.auth, 1, authBody(await edge.issueToken("gone"))));
      const decision = await next();
      await decision.decide();
      expect(await edge.online("gone")).toBe(1);

      wire.reset();
      await until(() => edge.edge.connections === 0, "the connection is gone");
      await decision.tell();

      await until(async () => (await edge.online("gone")) === 0, "the seat is free");
    });

    test("client that leaves: a session that was resumed stays, and its old id is good", async () => {
      const { edge, next } = await startGated();
      await using _ = edge;
      const first = await edge.open(transport);
      const answer = first.request(Command.auth, authBody(await edge.issueToken("returning")));
      await (await next()).tell();
      const { sessionId } = accepted(await answer);
      first.reset();
      const second = await edge.open(transport);
      second.sendBytes(request(Command.reconnect, 1, reconnectBody(sessionId)));
      const decision = await next();
      await decision.decide();

      second.reset();
      await until(() => edge.edge.connections === 0, "the connections are gone");
      await decision.tell();
      await until(async () => (await edge.online("returning")) === 0, "the seat is free");

      const third = await edge.open(transport);
      const back = third.request(Command.reconnect, reconnectBody(sessionId));
      await (await next()).tell();
      accepted(await back);
    });

    test("Close push from the client is its leaving", async () => {
      const { edge, next } = await startGated();
      await using _ = edge;
      const wire = await edge.open(transport);
      const token = await edge.issueToken("leaving");
      sendAll(wire, transport, [request(Command.auth, 1, authBody(token)), push(Command.close)]);

      expect((await wire.waitClosed()).closePush).toBeNull();

      await (await next()).tell();
      await until(async () => (await edge.online("leaving")) === 0, "the seat is free");
    });

    test("login that takes longer than the auth timeout is let in", async () => {
      const { edge, next } = await startGated({ EDGE_AUTH_TIMEOUT_MS: 100 });
      await using _ = edge;
      const wire = await edge.open(transport);
      const answer = wire.request(Command.auth, authBody(await edge.issueToken("slow")));
      const decision = await next();

      await expect(wire.waitClosed(600)).rejects.toThrow("Waited");
      await decision.tell();

      accepted(await answer);
      expect(await wire.request(echo, nothing)).toMatchObject({ status: 0 });
    });
  });
}
