/**
 * Redis stands still, loses everything, has no memory or may not write, under load. Goal: logins
 * are answered 7 / 503, no token opens two sessions, no seat of nobody stays, nobody who is open
 * notices, and everything goes on by itself. [I2]
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Wire } from "@holdfast/client/wire";
import { openWire } from "@holdfast/client/wire";
import { Command, encodeAuthRequest, Status } from "@holdfast/protocol";
import { aftermathOf, leaveAll } from "../../prove/aftermath.ts";
import { metric, onlineOf, until } from "../../prove/ground.ts";
import { type Load, startLoad } from "../../prove/load.ts";
import { createRecorder, type Recorder } from "../../prove/recorder.ts";
import { present, renewed, seedOf, startTestCluster, type TestCluster } from "../support.ts";

const leaseMs = 2000;
const firstLeaseMs = 1000;
const renewIntervalMs = 300;
let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster({
    EDGE_FLAP_DISPLACEMENTS_MAX: "0",
    EDGE_LEASE_MS: String(leaseMs),
    EDGE_FIRST_LEASE_MS: String(firstLeaseMs),
    EDGE_RENEW_INTERVAL_MS: String(renewIntervalMs),
    EDGE_RECONNECT_HOLD_MS: "1500",
  });
}, 60_000);
afterAll(() => cluster.stop());

const nothing = new Uint8Array(0);

function play(what: string, prefix: string): { load: Load; recorder: Recorder } {
  const [seed, recorder] = [seedOf(what), createRecorder()];
  const load = startLoad({ cluster, recorder, seed, players: 30, accounts: 12, prefix });
  return { load, recorder };
}

/**
 * Until every edge says that Redis answers, its seats have been checked once more, and the seats of
 * calls whose connection broke in the middle are gone: those have nothing but their first lease.
 */
async function recovered({ load, recorder }: ReturnType<typeof play>): Promise<void> {
  const up = () => metric(cluster, "holdfast_dependency_up", "redis");
  await until("Redis to be back on all edges", async () => (await up()) === 3);
  await renewed(cluster);
  await until("the registry to tell of those who are there", async () => {
    return (await onlineOf(cluster, recorder.views)) === load.open.length;
  });
}

/** Where Redis forgets, an older connection is found by renewal only. */
const overlapMs = 2 * 1.1 * renewIntervalMs + 1000;

function ask(wire: Wire, token: string) {
  return wire.request(Command.auth, encodeAuthRequest({ token, metadata: {} }), {
    deadlineMs: 15_000,
  });
}

async function online(account: string): Promise<number> {
  const identity = { account, seatsMax: 1000, policy: "displace", metadata: {} } as const;
  return (await cluster.registry.issue(identity, 1000)).online;
}

describe("Redis that stands still in the middle of logins", () => {
  test("one token opens one session, on the connection that asks again", async () => {
    const rounds = 20;
    const tokens = await Promise.all(
      Array.from({ length: rounds }, (_, index) => cluster.issue(`idempotent-${index}`, 9)),
    );
    // Two connections for each token, on different nodes.
    const pairs = await Promise.all(
      tokens.map(async (token, index) => {
        const at = (step: number) => cluster.urls[(index + step) % 6]!; // there are six
        const wires = [await openWire({ url: at(0) }), await openWire({ url: at(2) })] as const;
        return { token, wires };
      }),
    );

    cluster.redis.signal("SIGSTOP");
    const first = pairs.map(({ token, wires }) => wires.map((wire) => ask(wire, token)));
    const refused = (await Promise.all(first.flat())).map(({ status }) => status);
    for (const { wires } of pairs.slice(rounds / 2)) wires[0].reset(); // its call still runs
    await Bun.sleep(1200);
    cluster.redis.signal("SIGCONT");
    await until("Redis to be back", async () => {
      return (await metric(cluster, "holdfast_dependency_up", "redis")) === 3;
    });
    const second: number[][] = [];
    for (const [index, { token, wires }] of pairs.entries()) {
      const asking = index < rounds / 2 ? wires : wires.slice(1);
      const answers = await Promise.all(asking.map((wire) => retried(wire, token)));
      second.push(answers);
    }
    const seats = () => Promise.all(tokens.map((_, index) => online(`idempotent-${index}`)));
    const accepted = second.map((statuses) => statuses.filter((status) => status === 0).length);
    await until("the seats of nobody to lapse", async () => {
      return String(await seats()) === String(accepted);
    });

    expect(new Set(refused)).toEqual(new Set([Status.internalError]));
    // Whoever was first while Redis slept owns the token, and only by asking again on the same
    // connection is it heard; where that one has gone, the token is spent.
    expect(accepted.slice(0, rounds / 2)).toEqual(Array.from({ length: rounds / 2 }, () => 1));
    expect(Math.max(...accepted)).toBe(1);
    for (const { wires } of pairs) for (const wire of wires) wire.reset();
    await leaveAll(cluster, null);
  }, 60_000);

  test("every promise is kept under load while Redis stands still for 3 s", async () => {
    const played = play("Redis stands still", "still");
    const { load, recorder } = played;
    await Bun.sleep(1000);

    cluster.redis.signal("SIGSTOP");
    await Bun.sleep(3000);
    cluster.redis.signal("SIGCONT");
    await Bun.sleep(1000);
    await load.settle();
    await recovered(played);

    const after = await aftermathOf({ cluster, load, recorder, overlapMs: 3000 + overlapMs });
    expect(after).toEqual({ broken: [], told: [] });
    expect(load.counts["auth 0"]).toBeGreaterThan(0);
    await leaveAll(cluster, load);
  }, 60_000);
});

/** Asks until it is neither 7 / 503 nor nothing. */
async function retried(wire: Wire, token: string): Promise<number> {
  for (let tries = 0; tries < 10; tries++) {
    const answer = await ask(wire, token).catch(() => null);
    if (answer === null) return -1;
    if (answer.status !== Status.internalError) return answer.status;
    await Bun.sleep(100);
  }
  return Status.internalError;
}

describe("Redis that restarts empty", () => {
  test("nobody who is open notices, and every seat is back within a renewal", async () => {
    const played = play("Redis restarts empty", "empty");
    const { load, recorder } = played;
    await Bun.sleep(1000);

    cluster.redis.signal("SIGKILL");
    await Bun.sleep(300);
    await cluster.redis.restart();
    await Bun.sleep(1000);
    await load.settle();
    await recovered(played);

    const after = await aftermathOf({ cluster, load, recorder, overlapMs });
    expect(after).toEqual({ broken: [], told: [] });
    await leaveAll(cluster, load);
  }, 60_000);
});

describe("Redis that may not write", () => {
  const ways = [
    { what: "has no memory left", on: "CONFIG SET maxmemory 1mb", off: "CONFIG SET maxmemory 0" },
    { what: "is a replica now", on: "REPLICAOF 127.0.0.1 1", off: "REPLICAOF NO ONE" },
  ];
  test.each(ways)(
    "logins get 7 / 503 while it $what, and all goes on after",
    async (way) => {
      const open = await present(cluster.urls[0]!, await cluster.issue("witness")); // there are six
      const spare = await cluster.issue("spare");
      const played = play(`Redis ${way.what}`, way.on.slice(0, 4).toLowerCase());
      const { load, recorder } = played;
      await Bun.sleep(600);

      expect(await cluster.askRedis(way.on)).toBe("+OK\r\n");
      await Bun.sleep(200);
      const refused = await present(cluster.urls[1]!, spare).catch((error) => error);
      await Bun.sleep(1000);
      const beat = await open.wire.request(Command.heartbeat, nothing);
      expect(await cluster.askRedis(way.off)).toBe("+OK\r\n");
      await Bun.sleep(1000);
      await load.settle();
      await recovered(played);

      // A WebSocket is told so at the upgrade once its node knows; before, by its login's answer.
      expect(refused.response?.status ?? refused.status).toBeOneOf([Status.internalError, 503]);
      expect(beat.status).toBe(0);
      const again = await present(cluster.urls[2]!, await cluster.issue("spare"));
      expect(again.response.status).toBe(Status.success);
      const after = await aftermathOf({ cluster, load, recorder, overlapMs: 1500 + overlapMs });
      expect(after).toEqual({ broken: [], told: [] });
      for (const { wire } of [open, again]) wire.end();
      await leaveAll(cluster, load);
    },
    60_000,
  );
});
