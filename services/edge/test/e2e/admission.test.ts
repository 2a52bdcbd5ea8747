/** Many log in at once, on a node that lets few of them in at a time. */
import { describe, expect, test } from "bun:test";
import type { HttpUpgradeError, Wire } from "@holdfast/client/wire";
import { decodeErrorBody, type Response, Status } from "@holdfast/protocol";
import type { SessionRegistry } from "@holdfast/session";
import { until } from "../support/arrivals.ts";
import { startEdge, type TestEdge, type TransportName, transports } from "../support/edge.ts";
import { accepted, auth, openSession, reconnect, settle } from "../support/packets.ts";

const roomy = { EDGE_CONNECTIONS_MAX: 500, EDGE_UNAUTHENTICATED_MAX: 500 };

async function openMany(edge: TestEdge, transport: TransportName, count: number): Promise<Wire[]> {
  return await Promise.all(Array.from({ length: count }, () => edge.open(transport)));
}

/** All at once, each with an account of its own. */
async function logInAll(edge: TestEdge, wires: readonly Wire[]): Promise<Response[]> {
  const tokens = await Promise.all(wires.map((_, index) => edge.issueToken(`storm-${index}`)));
  return await Promise.all(wires.map((wire, index) => auth(wire, tokens[index] ?? "")));
}

/** Answers nothing before it is told to; counts how many it was asked for at once. */
function holdLogins() {
  const state = { asked: 0, atOnce: 0, most: 0 };
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const wrapRegistry = (registry: SessionRegistry): SessionRegistry => ({
    ...registry,
    async login(token, presented) {
      state.asked++;
      state.most = Math.max(state.most, ++state.atOnce);
      await released;
      const claim = await registry.login(token, presented);
      state.atOnce--;
      return claim;
    },
  });
  return { state, release, wrapRegistry };
}

for (const transport of transports) {
  describe(`a storm of logins on ${transport}`, () => {
    test("all are let in at the rate, and whoever is open is served meanwhile", async () => {
      const settings = { ...roomy, EDGE_LOGIN_RATE: 150, EDGE_LOGIN_BURST: 20 };
      await using edge = await startEdge({ settings });
      const open = await openSession(edge, transport);
      const wires = await openMany(edge, transport, 200);
      const startedMs = performance.now();
      let served = 0;

      let isOver = false;
      const logins = logInAll(edge, wires).finally(() => (isOver = true));
      for (; !isOver; served++) await settle(open.wire);
      const answers = await logins;

      expect(answers.filter(({ status }) => status === Status.success).length).toBe(200);
      expect(performance.now() - startedMs).toBeGreaterThan(((200 - 20) / 150) * 1000 - 100);
      expect(served).toBeGreaterThan(20);
      const admitted = (outcome: string) =>
        edge.metric("holdfast_login_admissions_total", { outcome });
      expect((await admitted("at_once")) + (await admitted("queued"))).toBe(201);
      expect(await admitted("queued")).toBeGreaterThan(100);
      expect(await edge.metric("holdfast_login_queue_seconds_count")).toBe(
        await admitted("queued"),
      );
      expect(await edge.metric("holdfast_logins_waiting")).toBe(0);
    }, 60_000);

    test("no more are asked of the store at once than the bound; who leaves is never asked of", async () => {
      const settings = { ...roomy, EDGE_REDIS_IN_FLIGHT_MAX: 4 };
      const { state, release, wrapRegistry } = holdLogins();
      await using edge = await startEdge({ settings, wrapRegistry });
      const [leaving, ...staying] = await openMany(edge, transport, 12);
      const first = staying.slice(0, 4);
      const logins = [logInAll(edge, first)];
      await until(() => state.asked === 4, "four are in the store");
      const token = await edge.issueToken("leaving");
      void auth(leaving!, token).catch(() => {}); // there are twelve
      await until(async () => (await edge.metric("holdfast_logins_waiting")) === 1, "it waits");
      logins.push(logInAll(edge, staying.slice(4)));
      await until(async () => (await edge.metric("holdfast_logins_waiting")) === 8, "all wait");

      leaving!.reset();
      await until(async () => (await edge.metric("holdfast_logins_waiting")) === 7, "it left");
      release();
      const answers = (await Promise.all(logins)).flat();

      expect(answers.every(({ status }) => status === Status.success)).toBe(true);
      expect(state).toEqual({ asked: 11, atOnce: 0, most: 4 });
      const peak = await edge.metric("holdfast_store_calls_in_flight_peak", { lane: "login" });
      expect(peak).toBe(4);
      const again = accepted(await auth(await edge.open(transport), token)); // was not used up
      expect(again.online).toBe(1);
    });

    test("a reconnect waits in the same queue, and keeps its session", async () => {
      const settings = { ...roomy, EDGE_LOGIN_RATE: 60, EDGE_LOGIN_BURST: 1 };
      await using edge = await startEdge({ settings });
      const sessions = await Promise.all(
        Array.from({ length: 10 }, () => openSession(edge, transport)),
      );
      const wires = await openMany(edge, transport, 10);

      const answers = await Promise.all(
        wires.map((wire, index) => reconnect(wire, sessions[index]?.session.sessionId ?? "")),
      );

      expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(Status.success));
    });
  });
}

describe("a queue that is full", () => {
  const settings = {
    ...roomy,
    ...{ EDGE_LOGIN_RATE: 40, EDGE_LOGIN_BURST: 10, EDGE_LOGIN_QUEUE_MS: 500 },
  };

  test("more logins on tcp get 7 / 503 with a time to come back, and no attempt is counted", async () => {
    await using edge = await startEdge({ settings });
    const wires = await openMany(edge, "tcp", 100);

    const answers = await logInAll(edge, wires);

    const refused = answers.filter(({ status }) => status === Status.internalError);
    const hints = refused.map(({ body }) => decodeErrorBody(body).retryAfterMs ?? -1);
    expect(refused.length).toBeWithin(40, 91); // the burst, half a second of the rate, and slack
    expect(Math.min(...hints)).toBeWithin(250, 751);
    expect(Math.max(...hints)).toBeWithin(250, 751);
    expect(new Set(hints).size).toBeGreaterThan(20); // they are sent apart
    const wire = wires[answers.indexOf(refused[0]!)]!; // some were refused
    const token = await edge.issueToken("patient");
    await until(async () => (await edge.metric("holdfast_logins_waiting")) === 0, "it is empty");
    accepted(await auth(wire, token));
  });

  test("an upgrade on ws gets 503 with Retry-After as long as no login could follow in time", async () => {
    await using edge = await startEdge({ settings });
    const refused: HttpUpgradeError[] = [];
    const logins = Array.from({ length: 100 }, async (_, index) => {
      const token = await edge.issueToken(`storm-${index}`);
      const wire = await edge.open("ws").catch((error: HttpUpgradeError) => refused.push(error));
      return typeof wire === "number" ? null : (await auth(wire, token)).status;
    });

    const statuses = (await Promise.all(logins)).filter((status) => status !== null);

    expect(refused.length).toBeWithin(20, 71); // 30 at once, and 40 a second
    const told = refused.map(({ status, headers }) => `${status} ${headers["retry-after"]}`);
    expect(new Set(told)).toEqual(new Set(["503 1"]));
    const rejected = { transport: "ws", reason: "admission" };
    expect(await edge.metric("holdfast_connections_rejected_total", rejected)).toBe(refused.length);
    // Whoever comes through the gate is let in, save at the very edge of the deadline.
    const successes = statuses.filter((status) => status === Status.success).length;
    expect(successes).toBeGreaterThan(statuses.length * 0.7);
  });
});
