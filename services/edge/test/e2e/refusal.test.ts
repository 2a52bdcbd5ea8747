import { describe, expect, test } from "bun:test";
import type { Wire } from "@holdfast/client/wire";
import { Command } from "@holdfast/protocol";
import { RegistryUnavailable } from "@holdfast/session";
import { until } from "../support/arrivals.ts";
import { startEdge, type TestEdge, type TransportName, transports } from "../support/edge.ts";
import {
  accepted,
  anySessionId,
  anyToken,
  auth,
  authBody,
  expectClose,
  expectError,
  nothing,
  openSession,
  reconnect,
  reconnectBody,
  settle,
} from "../support/packets.ts";
import { createUnreachable } from "../support/registries.ts";
import { echo } from "../support/scripted-upstream.ts";

const graceMs = 400;
const sweepMs = 250; // deadlines are looked at this often
/** Whoever is told when to come back stays until then, and a second: 1.5 to 2.5 s. [D30] */
const retryAfterSeconds = 1;
const settings = {
  ...{ EDGE_REFUSAL_GRACE_MS: graceMs, EDGE_RECONNECT_HOLD_MS: 100 },
  EDGE_RETRY_AFTER_SECONDS: retryAfterSeconds,
};

const busyMs = 3000; // a machine that does much else may be so late

/** The Close comes after the grace, counted from when the refused login was sent, and soon. */
async function expectCloseAfterGrace(
  wire: Wire,
  transport: TransportName,
  expected: { readonly code: number; readonly reason: string; readonly askedMs: number },
): Promise<void> {
  await expectClose(wire, transport, expected.code, expected.reason);
  const tookMs = performance.now() - expected.askedMs;
  expect(tookMs).toBeWithin(graceMs - 5, graceMs + sweepMs + busyMs);
}

async function seatTaken(edge: TestEdge, transport: TransportName, account: string): Promise<void> {
  await openSession(edge, transport, account, { limit: 1, policy: "reject" });
}

for (const transport of transports) {
  describe(`refused login on ${transport}`, () => {
    test.concurrent("refused Auth is followed by Close 4 after the grace", async () => {
      await using edge = await startEdge({ settings });
      const wire = await edge.open(transport);

      const askedMs = performance.now();
      expectError(await auth(wire, "no.token"), "tokenInvalid");

      await expectCloseAfterGrace(wire, transport, { code: 4, reason: "auth refused", askedMs });
    });

    test.concurrent("refused Reconnect is followed by Close 5 after the grace", async () => {
      await using edge = await startEdge({ settings });
      const wire = await edge.open(transport);

      const askedMs = performance.now();
      expectError(await reconnect(wire, "no.such.session"), "sessionExpired");

      await expectCloseAfterGrace(wire, transport, { code: 5, reason: "session expired", askedMs });
    });

    test.concurrent("Auth within the grace is let in, and no Close follows", async () => {
      await using edge = await startEdge({ settings });
      const wire = await edge.open(transport);
      expectError(await reconnect(wire, "no.such.session"), "sessionExpired");

      accepted(await auth(wire, await edge.issueToken("late")));

      await expect(wire.waitClosed(graceMs + sweepMs + 100)).rejects.toThrow("Waited");
      await settle(wire);
    });

    test.concurrent("heartbeats and early requests are answered within the grace", async () => {
      await using edge = await startEdge({ settings });
      const wire = await edge.open(transport);
      expectError(await auth(wire, "no.token"), "tokenInvalid");

      await settle(wire);
      expectError(await wire.request(echo, nothing), "unauthenticated");
    });

    test.concurrent("each refusal begins the grace anew", async () => {
      await using edge = await startEdge({ settings });
      const wire = await edge.open(transport);
      const startMs = performance.now();
      await auth(wire, "no.token");
      const early = wire.waitClosed(0.5 * graceMs).catch(() => "open");

      expect(await early).toBe("open");
      const askedMs = performance.now();
      expectError(await auth(wire, "no.token"), "tokenInvalid");

      await expectCloseAfterGrace(wire, transport, { code: 4, reason: "auth refused", askedMs });
      expect(performance.now() - startMs).toBeGreaterThan(1.4 * graceMs);
    });

    test.concurrent("a fourth attempt is not looked at, and its token stays good", async () => {
      await using edge = await startEdge({ settings });
      const wire = await edge.open(transport);
      const token = await edge.issueToken("fourth");
      const askedMs = performance.now();
      for (const bad of ["a", "b", "c"]) expectError(await auth(wire, bad), "tokenInvalid");

      expectError(await auth(wire, token), "tokenInvalid");
      expectError(await reconnect(wire, "a.b.c"), "sessionExpired");

      await expectCloseAfterGrace(wire, transport, { code: 4, reason: "auth refused", askedMs });
      accepted(await auth(await edge.open(transport), token));
    });

    test.concurrent("body that does not parse counts as an attempt", async () => {
      await using edge = await startEdge({ settings });
      const wire = await edge.open(transport);
      for (let count = 1; count <= 3; count++) {
        expectError(await wire.request(Command.auth, authBody("")), "invalidBody");
      }

      expectError(await auth(wire, await edge.issueToken("bodies")), "tokenInvalid");
    });

    test.concurrent("last refusal names the Close: 4 when an Auth came after a Reconnect", async () => {
      await using edge = await startEdge({ settings });
      const wire = await edge.open(transport);

      await reconnect(wire, "a.b.c");
      await auth(wire, "no.token");

      await expectClose(wire, transport, 4, "auth refused");
    });

    test.concurrent("last refusal names the Close: 5 when a Reconnect came after an Auth", async () => {
      await using edge = await startEdge({ settings });
      const wire = await edge.open(transport);

      await auth(wire, "no.token");
      await reconnect(wire, "a.b.c");

      await expectClose(wire, transport, 5, "session expired");
    });

    test.concurrent("Reconnect that is no body is followed by Close 4", async () => {
      await using edge = await startEdge({ settings });
      const wire = await edge.open(transport);

      expectError(await wire.request(Command.reconnect, reconnectBody("")), "invalidBody");

      await expectClose(wire, transport, 4, "auth refused");
    });

    test.concurrent("full account under policy reject is answered 6 / 403, token used up", async () => {
      await using edge = await startEdge({ settings });
      await seatTaken(edge, transport, "full");
      const token = await edge.issueToken("full", { limit: 1, policy: "reject" });
      const wire = await edge.open(transport);

      expectError(await auth(wire, token), "connectionLimit"); // [D33]

      expectError(await auth(await edge.open(transport), token), "tokenInvalid"); // [D19]
      await expectClose(wire, transport, 4, "auth refused");
    });

    test.concurrent("silent stranger gets Close 4 at the auth timeout", async () => {
      await using edge = await startEdge({ settings: { EDGE_AUTH_TIMEOUT_MS: 300 } });
      const startMs = performance.now();
      const wire = await edge.open(transport);

      await expectClose(wire, transport, 4, "auth timeout");

      expect(performance.now() - startMs).toBeWithin(295, 300 + sweepMs + busyMs);
    });

    test.concurrent("heartbeats do not put the auth timeout off", async () => {
      await using edge = await startEdge({ settings: { EDGE_AUTH_TIMEOUT_MS: 300 } });
      const wire = await edge.open(transport);
      let isOver = false;
      void wire.closed.then(() => {
        isOver = true;
      });

      while (!isOver) await wire.request(Command.heartbeat, nothing).catch(() => {});

      await expectClose(wire, transport, 4, "auth timeout");
    });
  });

  describe(`store failure on ${transport}`, () => {
    test.concurrent("Auth is answered 7 / 503, and Close 1 comes after the hint", async () => {
      await using edge = await startEdge({
        ...{ settings, wrapRegistry: (registry) => createUnreachable(registry).registry },
      });
      const wire = await edge.open(transport);

      const askedMs = performance.now();
      expectError(await auth(wire, anyToken), "serviceUnavailable");

      const reason = "service unavailable";
      await expectCloseAfterGrace(wire, transport, { code: 1, reason, askedMs });
      expect(performance.now() - askedMs).toBeGreaterThan(1500 * retryAfterSeconds);
    });

    test.concurrent("failures do not count as attempts, and 8 of them end it", async () => {
      let store: ReturnType<typeof createUnreachable> | null = null;
      await using edge = await startEdge({
        settings,
        wrapRegistry(registry) {
          store = createUnreachable(registry);
          return store.registry;
        },
      });
      const wire = await edge.open(transport);
      const askedMs = performance.now();
      for (let count = 1; count <= 8; count++) {
        expectError(await auth(wire, anyToken), "serviceUnavailable");
      }
      const calls = store!.switchable.calls; // made when the node was

      expectError(await auth(wire, await edge.issueToken("ninth")), "serviceUnavailable");

      expect(store!.switchable.calls).toBe(calls); // the ninth is not looked at
      const reason = "service unavailable";
      await expectCloseAfterGrace(wire, transport, { code: 1, reason, askedMs });
    });

    test.concurrent("seven failures leave room for a login once the store is back", async () => {
      let store: ReturnType<typeof createUnreachable> | null = null;
      await using edge = await startEdge({
        settings,
        wrapRegistry(registry) {
          store = createUnreachable(registry);
          return store.registry;
        },
      });
      const wire = await edge.open(transport);
      const token = await edge.issueToken("seven");
      for (let count = 1; count <= 7; count++) await auth(wire, token);
      store!.switchable.isAway = false;

      accepted(await auth(wire, token));
    });

    test.concurrent("refusal after a failure names the Close", async () => {
      let store: ReturnType<typeof createUnreachable> | null = null;
      await using edge = await startEdge({
        settings,
        wrapRegistry(registry) {
          store = createUnreachable(registry);
          return store.registry;
        },
      });
      const wire = await edge.open(transport);
      await auth(wire, anyToken);
      store!.switchable.isAway = false;

      expectError(await reconnect(wire, anySessionId), "sessionExpired");

      await expectClose(wire, transport, 5, "session expired");
    });

    test.concurrent("Reconnect waits for a store that comes back soon", async () => {
      let store: ReturnType<typeof createUnreachable> | null = null;
      await using edge = await startEdge({
        settings: { ...settings, EDGE_RECONNECT_HOLD_MS: 5000 },
        wrapRegistry(registry) {
          store = createUnreachable(registry);
          store.switchable.isAway = false;
          return store.registry;
        },
      });
      const { wire, session } = await openSession(edge, transport, "patient");
      wire.reset();
      store!.switchable.isAway = true;
      const second = await edge.open(transport);
      const answer = reconnect(second, session.sessionId);
      await settle(second);

      store!.switchable.isAway = false;

      accepted(await answer);
    });

    test.concurrent("Reconnect is answered 7 / 503 when the store stays away", async () => {
      await using edge = await startEdge({
        ...{ settings, wrapRegistry: (registry) => createUnreachable(registry).registry },
      });
      const wire = await edge.open(transport);

      expectError(await reconnect(wire, anySessionId), "serviceUnavailable");

      await expectClose(wire, transport, 1, "service unavailable");
    });

    test.concurrent("bug of the registry is answered 7 / 500, counted, and followed by Close 1", async () => {
      await using edge = await startEdge({
        settings,
        wrapRegistry: (registry) => ({
          ...registry,
          login: () => Promise.reject(new TypeError("a bug")),
        }),
      });
      const wire = await edge.open(transport);

      expectError(await auth(wire, anyToken), "internalError");

      await expectClose(wire, transport, 1, "internal error");
      expect(await edge.metric("holdfast_exceptions_total", { where: "redis" })).toBe(1);
    });

    test.concurrent("seat that cannot be given back at once is given back at a renewal", async () => {
      let failures = 2;
      await using edge = await startEdge({
        settings: { ...settings, EDGE_RENEW_INTERVAL_MS: 50 },
        wrapRegistry: (registry) => ({
          ...registry,
          leave: (holding) =>
            failures-- > 0
              ? Promise.reject(new RegistryUnavailable("timeout"))
              : registry.leave(holding),
        }),
      });
      const { wire } = await openSession(edge, transport, "owed"); // [I7]

      wire.reset();

      await until(async () => (await edge.online("owed")) === 0, "the seat is free");
    });
  });
}
