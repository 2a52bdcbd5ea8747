import { describe, expect, test } from "bun:test";
import { Command, Status } from "@holdfast/protocol";
import { RegistryUnavailable } from "@holdfast/session";
import { until } from "../support/arrivals.ts";
import { startEdge, transports } from "../support/edge.ts";
import {
  accepted,
  auth,
  authBody,
  expectClose,
  expectError,
  nothing,
  openSession,
  reconnect,
  reconnectBody,
  request,
  sendAll,
  settle,
} from "../support/packets.ts";
import { createGated } from "../support/registries.ts";
import { echo } from "../support/scripted-upstream.ts";

for (const transport of transports) {
  const other = transport === "tcp" ? "ws" : "tcp";

  describe(`duplicate login on ${transport}`, () => {
    test("newer login closes the older connection with Close 6", async () => {
      await using edge = await startEdge(); // [D33]
      const older = await openSession(edge, transport, "alice");

      const newer = await openSession(edge, other, "alice");

      await expectClose(older.wire, transport, 6, "duplicate login");
      expect(newer.session).toMatchObject({ limit: 1, online: 1 });
      await settle(newer.wire);
      expect(await edge.metric("holdfast_duplicate_closes_total")).toBe(1);
    });

    test("limit counts connections: only the oldest is pushed out, online is counted after", async () => {
      await using edge = await startEdge();
      const rules = { limit: 2 };
      const first = await openSession(edge, transport, "alice", rules);
      const second = await openSession(edge, other, "alice", rules);

      const third = await openSession(edge, transport, "alice", rules);

      await expectClose(first.wire, transport, 6, "duplicate login");
      expect(third.session).toMatchObject({ limit: 2, online: 2 });
      await settle(second.wire);
    });

    // Its first Auth took a seat, but the answer was lost on the way from the registry.
    test("connection that logs in again with another token does not push itself out", async () => {
      let isLost = true;
      await using edge = await startEdge({
        wrapRegistry: (registry) => ({
          ...registry,
          async login(token, presented) {
            const claim = await registry.login(token, presented);
            if (isLost) throw new RegistryUnavailable("refused");
            return claim;
          },
        }),
        checksSeats: false, // the first one lapses
      });
      const wire = await edge.open(transport);
      const lost = await wire.request(Command.auth, authBody(await edge.issueToken("alice")));
      expectError(lost, "serviceUnavailable");
      isLost = false;

      const again = await wire.request(Command.auth, authBody(await edge.issueToken("alice")));

      expect(again.status).toBe(Status.success);
      await settle(wire);
      expect(await edge.online("alice")).toBe(1);
    });

    test("other accounts are left alone", async () => {
      await using edge = await startEdge();
      const bob = await openSession(edge, transport, "bob");

      await openSession(edge, transport, "alice");

      await settle(bob.wire);
    });

    test("policy reject answers 6 / 403, and the older connection stays", async () => {
      await using edge = await startEdge();
      const rules = { limit: 1, policy: "reject" } as const;
      const older = await openSession(edge, transport, "alice", rules);
      const wire = await edge.open(other);

      expectError(await auth(wire, await edge.issueToken("alice", rules)), "connectionLimit");

      await settle(older.wire);
    });

    test("unanswered requests of the displaced are aborted, and nothing follows its Close", async () => {
      await using edge = await startEdge();
      const older = await openSession(edge, transport, "alice");
      older.wire.sendBytes(request(17, 50));
      const { call, answer } = await edge.upstream.nextCall();
      const { signal } = call;

      await openSession(edge, transport, "alice");
      answer({ status: 0, body: nothing });

      await expectClose(older.wire, transport, 6, "duplicate login");
      expect(signal.aborted).toBe(true);
    });

    test("displaced session is over: Reconnect with it is answered 5", async () => {
      await using edge = await startEdge(); // [D35]
      const older = await openSession(edge, transport, "alice");
      const newer = await openSession(edge, transport, "alice");

      const answer = await reconnect(await edge.open(transport), older.session.sessionId);

      expectError(answer, "sessionExpired");
      await settle(newer.wire);
    });

    test("sixth displacement within the window is answered 6 / 403 flapping", async () => {
      await using edge = await startEdge(); // [D35]
      for (let count = 0; count <= 5; count++) await openSession(edge, transport, "alice");
      const wire = await edge.open(transport);

      expectError(await auth(wire, await edge.issueToken("alice")), "flapping");
    });

    test("breaker of 0 lets any number of logins displace each other", async () => {
      await using edge = await startEdge({ settings: { EDGE_FLAP_DISPLACEMENTS_MAX: 0 } });

      for (let count = 0; count < 12; count++) await openSession(edge, transport, "alice");

      expect(await edge.online("alice")).toBe(1);
    });
  });

  describe(`reconnect on ${transport}`, () => {
    test("newest connection of a session wins, the older one gets Close 6", async () => {
      await using edge = await startEdge(); // [D21]
      const older = await openSession(edge, other, "alice");
      const wire = await edge.open(transport);

      const { online } = accepted(await reconnect(wire, older.session.sessionId));

      await expectClose(older.wire, other, 6, "session taken over");
      expect(online).toBe(1);
      await settle(wire);
    });

    test("several at once with one id are each accepted, and the last one stays", async () => {
      await using edge = await startEdge(); // [§9, D20 in a chain]
      const first = await openSession(edge, transport, "alice");
      const wires = await Promise.all([1, 2, 3, 4].map(() => edge.open(transport)));
      const body = reconnectBody(first.session.sessionId);

      for (const wire of wires) wire.sendBytes(request(Command.reconnect, 1, body));
      const answers = await Promise.all(wires.map((wire) => wire.next()));

      for (const answer of answers) expect(answer).toMatchObject({ type: "response", status: 0 });
      const ends = wires.map((wire) => wire.waitClosed(300).catch(() => null));
      const reasons = (await Promise.all(ends)).map((end) => end?.closePush?.code ?? "open");
      expect(reasons.sort()).toEqual([6, 6, 6, "open"]);
    });

    test("previous id stays good while its successor is not proven", async () => {
      await using edge = await startEdge(); // [D20]
      const { wire, session } = await openSession(edge, transport, "alice");
      wire.reset();
      const second = await edge.open(transport);
      const lost = accepted(await reconnect(second, session.sessionId));
      second.reset();

      const third = accepted(await reconnect(await edge.open(transport), session.sessionId));

      expect(third.sessionId).not.toBe(lost.sessionId);
      accepted(await reconnect(await edge.open(transport), third.sessionId));
      expectError(await reconnect(await edge.open(transport), lost.sessionId), "sessionExpired");
    });

    test("packet on the new connection proves the new id, and the old one lapses", async () => {
      const settings = { EDGE_ALIAS_GRACE_MS: 100, EDGE_RENEW_INTERVAL_MS: 50 };
      await using edge = await startEdge({ settings });
      const { wire, session } = await openSession(edge, transport, "alice");
      wire.reset();
      const second = await edge.open(transport);
      accepted(await reconnect(second, session.sessionId));
      await second.request(echo, nothing);
      await expect(second.waitClosed(300)).rejects.toThrow("Waited"); // renewal, then the grace

      const answer = await reconnect(await edge.open(transport), session.sessionId);

      expectError(answer, "sessionExpired");
    });

    test("what was read before the answer was given proves nothing", async () => {
      let next: ReturnType<typeof createGated>["next"] | null = null;
      await using edge = await startEdge({
        settings: { EDGE_ALIAS_GRACE_MS: 100, EDGE_RENEW_INTERVAL_MS: 50 },
        wrapRegistry(registry) {
          const gated = createGated(registry);
          next = gated.next;
          return { ...gated.registry, login: registry.login };
        },
      });
      const { wire, session } = await openSession(edge, transport, "alice");
      wire.reset();
      const second = await edge.open(transport);
      const requests = [request(echo, 2), request(Command.heartbeat, 3)];
      const asked = request(Command.reconnect, 1, reconnectBody(session.sessionId));
      sendAll(second, transport, [asked, ...requests]);
      expect(await second.next()).toMatchObject({ requestId: 3 });
      await (await next!()).tell(); // set when the node was started
      await expect(second.waitClosed(300)).rejects.toThrow("Waited");

      const third = await edge.open(transport);
      const answer = reconnect(third, session.sessionId);
      await (await next!()).tell();

      accepted(await answer);
    });

    test("session without a place is refused 6 / 403 under reject, when the place is taken", async () => {
      await using edge = await startEdge({ settings: { EDGE_REFUSAL_GRACE_MS: 100 } }); // [§7.4]
      const rules = { limit: 1, policy: "reject" } as const;
      const { wire, session } = await openSession(edge, transport, "alice", rules);
      wire.reset();
      await until(async () => (await edge.online("alice")) === 0, "the place is free");
      const holder = await openSession(edge, transport, "alice", rules);
      const back = await edge.open(transport);

      expectError(await reconnect(back, session.sessionId), "connectionLimit");

      await expectClose(back, transport, 4, "auth refused");
      await settle(holder.wire);
    });

    test("session without a place is over under displace, when newer logins hold them", async () => {
      await using edge = await startEdge(); // [§7.4]
      const { wire, session } = await openSession(edge, transport, "alice");
      wire.reset();
      await until(async () => (await edge.online("alice")) === 0, "the place is free");
      const newer = await openSession(edge, transport, "alice");

      const answer = await reconnect(await edge.open(transport), session.sessionId);

      expectError(answer, "sessionExpired");
      await settle(newer.wire);
    });

    test("open connection outlives the time of its session", async () => {
      const settings = { EDGE_SESSION_TTL_MS: 1000, EDGE_RENEW_INTERVAL_MS: 100 };
      await using edge = await startEdge({ settings }); // [D23]
      const { wire, session } = await openSession(edge, transport, "alice");
      await expect(wire.waitClosed(1300)).rejects.toThrow("Waited");

      expect(await wire.request(echo, nothing)).toMatchObject({ status: 0 });
      expect(Date.now()).toBeGreaterThan(session.expiresAtMs);

      wire.reset();
      const answer = await reconnect(await edge.open(transport), session.sessionId);
      expectError(answer, "sessionExpired");
    });

    test("session that an operator ended is told Close 5, and Reconnect is refused", async () => {
      await using edge = await startEdge(); // [§8.4]
      const { wire, session } = await openSession(edge, transport, "alice");
      const { seats } = await edge.registry.end({ account: "alice" }, "revoked");

      edge.bus.publish(edge.config.nodeId, { type: "ended", losers: seats, reason: "revoked" });

      await expectClose(wire, transport, 5, "session ended");
      const answer = await reconnect(await edge.open(transport), session.sessionId);
      expectError(answer, "sessionExpired");
    });
  });
}
