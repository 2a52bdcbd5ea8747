import { describe, expect, test } from "bun:test";
import { Command } from "@holdfast/protocol";
import { until, within } from "../support/arrivals.ts";
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
  request,
  settle,
} from "../support/packets.ts";
import { createGated } from "../support/registries.ts";
import { held } from "../support/scripted-upstream.ts";

for (const transport of transports) {
  describe(`drain on ${transport}`, () => {
    test("everybody is told Close 2, and no seat is left behind", async () => {
      await using edge = await startEdge(); // [I7]
      const open = await openSession(edge, transport, "drained");
      const stranger = await edge.open(transport);
      await settle(stranger);

      await edge.edge.drain();

      await expectClose(open.wire, transport, 2, "server shutdown");
      await expectClose(stranger, transport, 2, "server shutdown");
      expect(await edge.online("drained")).toBe(0);
    });

    test("peer that has not even shaken hands is told Close 2, too", async () => {
      await using edge = await startEdge(); // [§9] in the layout of version 1
      const mute = await edge.open("tcp", { handshake: null });
      await until(() => edge.edge.connections === 1, "it has come");

      await edge.edge.drain();

      await expectClose(mute, "tcp", 2, "server shutdown");
    });

    test("session goes on elsewhere after a drain", async () => {
      await using edge = await startEdge();
      await using other = await startEdge({ registry: edge.registry });
      const { session } = await openSession(edge, transport, "moved");

      await edge.edge.drain();

      accepted(await reconnect(await other.open(transport), session.sessionId));
    });

    test("unanswered request gets its answer before the Close", async () => {
      await using edge = await startEdge();
      const { wire } = await openSession(edge, transport);
      wire.sendBytes(request(held, 50));
      const { answer } = await edge.upstream.nextCall();

      const drained = edge.edge.drain();
      await until(async () => (await edge.metric("holdfast_draining")) === 1, "it drains");
      await expect(wire.waitClosed(150)).rejects.toThrow("Waited");
      answer({ status: 0, body: nothing });

      expect(await wire.next()).toMatchObject({ requestId: 50, status: 0 });
      await expectClose(wire, transport, 2, "server shutdown");
      await drained;
    });

    test("request that is not answered within the grace is aborted", async () => {
      await using edge = await startEdge({ settings: { EDGE_DRAIN_GRACE_MS: 200 } });
      const { wire } = await openSession(edge, transport);
      wire.sendBytes(request(held, 50));
      const { call } = await edge.upstream.nextCall();
      const { signal } = call;
      const startMs = performance.now();

      await edge.edge.drain();

      await expectClose(wire, transport, 2, "server shutdown");
      expect(performance.now() - startMs).toBeWithin(190, 1500);
      expect(signal.aborted).toBe(true);
      expect(await wire.next()).toMatchObject({ type: "push", command: Command.close });
    });

    test("request whose time is over within the grace gets 1 / 408 before the Close", async () => {
      await using edge = await startEdge();
      const { wire } = await openSession(edge, transport);
      const answer = wire.request(held, nothing, { timeoutMs: 150 });
      await edge.upstream.nextCall();

      const drained = edge.edge.drain();

      expectError(await answer, "serverTimeout");
      await expectClose(wire, transport, 2, "server shutdown");
      await drained;
    });

    test("login that is being decided is told Close 2, and its session is ended", async () => {
      let next: ReturnType<typeof createGated>["next"] | null = null;
      await using edge = await startEdge({
        wrapRegistry(registry) {
          const gated = createGated(registry);
          next = gated.next;
          return gated.registry;
        },
      });
      const wire = await edge.open(transport);
      wire.sendBytes(request(Command.auth, 1, authBody(await edge.issueToken("deciding"))));
      const decision = await next!(); // set when the node was started
      await decision.decide();

      const drained = edge.edge.drain();
      await expectClose(wire, transport, 2, "server shutdown");
      await decision.tell();

      await drained;
      await until(async () => (await edge.online("deciding")) === 0, "the seat is free");
    });

    test("drain waits for a login whose peer has gone, and leaves no seat behind", async () => {
      let next: ReturnType<typeof createGated>["next"] | null = null;
      await using edge = await startEdge({
        wrapRegistry(registry) {
          const gated = createGated(registry);
          next = gated.next;
          return gated.registry;
        },
      });
      const wire = await edge.open(transport); // [I7]
      wire.sendBytes(request(Command.auth, 1, authBody(await edge.issueToken("slow"))));
      const decision = await next!(); // set when the node was started
      await decision.decide();
      const drained = edge.edge.drain().then(() => "drained");
      await expectClose(wire, transport, 2, "server shutdown");
      wire.reset();

      const early = within(drained, "the drain", 400).catch(() => "waits");
      expect(await early).toBe("waits");
      await decision.tell();
      await drained;

      expect(await edge.online("slow")).toBe(0);
    });

    test("logins work during the delay, and are answered 7 / 503 after it", async () => {
      const settings = { EDGE_DRAIN_DELAY_MS: 150, EDGE_DRAIN_WINDOW_MS: 60_000 };
      await using edge = await startEdge({
        settings: { ...settings, EDGE_DRAIN_DEADLINE_MS: 120_000 },
      });
      const early = await edge.open(transport);
      // The first of them has its turn at once, so there are two.
      const late = [await edge.open(transport), await edge.open(transport)];
      for (const wire of late) await settle(wire);

      void edge.edge.drain();

      expect(edge.edge.readiness()).toEqual({ ready: false, reasons: ["draining"] });
      accepted(await auth(early, await edge.issueToken("early")));
      const closed = () => edge.metric("holdfast_closes_total", { code: "ServerShutdown" });
      await until(async () => (await closed()) === 1, "the first turn has come");
      const token = await edge.issueToken("late");
      const ends = late.map((wire) => wire.waitClosed(1).catch(() => null));
      const left = late.filter((_, index) => ends[index] !== null);
      const open = [];
      for (const [index, end] of ends.entries()) if ((await end) === null) open.push(left[index]!);
      expectError(await auth(open[0]!, token), "serviceUnavailable"); // at most one was closed
    });

    test("closes are spread over the window", async () => {
      await using edge = await startEdge({ settings: { EDGE_DRAIN_WINDOW_MS: 800 } });
      const ends: Promise<number>[] = [];
      for (let count = 0; count < 20; count++) {
        const { wire } = await openSession(edge, transport);
        ends.push(wire.closed.then(() => performance.now()));
      }
      const startMs = performance.now();

      await edge.edge.drain();

      const moments = (await Promise.all(ends)).map((ms) => ms - startMs).sort((a, b) => a - b);
      expect(moments[0]).toBeLessThan(200);
      expect(moments[9]).toBeWithin(200, 600);
      expect(moments[19]).toBeWithin(600, 1100);
      const steps = moments.map((ms, index) => ms - (moments[index - 1] ?? 0));
      expect(Math.max(...steps)).toBeLessThan(300);
    });
  });
}

describe("drain of the listeners", () => {
  test("TCP refuses, WebSocket answers 503 with Retry-After", async () => {
    await using edge = await startEdge();

    await edge.edge.drain();

    await expect(edge.open("tcp")).rejects.toThrow();
    const error = await edge.open("ws").catch((caught) => caught);
    expect({ status: error.status, later: error.headers["retry-after"] }).toEqual({
      ...{ status: 503, later: "2" },
    });
    const rejected = { reason: "draining", transport: "ws" };
    expect(await edge.metric("holdfast_connections_rejected_total", rejected)).toBe(1);
  });

  test("a second drain is the same drain, and a second stop does nothing", async () => {
    await using edge = await startEdge();

    expect(edge.edge.drain()).toBe(edge.edge.drain());
    await edge.edge.stop();
    await edge.edge.stop();
  });

  test("an operator's wish on the bus is passed on", async () => {
    await using edge = await startEdge();

    expect(edge.bus.publish("all", { type: "drain", inTurn: true })).toBe(true);

    await settle(await edge.open("tcp")); // nobody listens here, and nothing breaks
  });
});
