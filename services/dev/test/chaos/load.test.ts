/**
 * A seeded random load over three edge processes. Goal: what must always hold does, as the clients
 * see it, while all is well and while NATS stands still; and nothing is left when they have gone.
 * CHAOS_SEED replays a seed.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { aftermathOf, leaveAll } from "../../prove/aftermath.ts";
import { metric, onlineOf, until } from "../../prove/ground.ts";
import { startLoad } from "../../prove/load.ts";
import { createRecorder } from "../../prove/recorder.ts";
import { present, resume, seedOf, startTestCluster, type TestCluster } from "../support.ts";

const renewIntervalMs = 1000;
let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster({
    EDGE_FLAP_DISPLACEMENTS_MAX: "0", // every displacement is wanted here
    EDGE_RENEW_INTERVAL_MS: String(renewIntervalMs),
    EDGE_HEARTBEAT_INTERVAL_MS: "500",
    EDGE_HEARTBEAT_TIMEOUT_MS: "60000",
  });
}, 60_000);
afterAll(() => cluster.stop());

/**
 * Used tokens, sessions and the two records of their account stay until they expire: a client may
 * come back, and a token must be known as used. Seats must not stay, nor anything for ever.
 */
async function keysLeft(): Promise<string[]> {
  const count = (pattern: string, condition: string) =>
    cluster.askRedis(
      `EVAL "local n = 0 for _, k in ipairs(redis.call('KEYS', '${pattern}')) do ` +
        `if ${condition} then n = n + 1 end end return n" 0`,
    );
  const eternal = await count("*", "redis.call('PTTL', k) < 0");
  const seats = await count("hf:*:seats", "true");
  return [`${eternal.trim()} without expiry`, `${seats.trim()} seats`];
}

describe("one session", () => {
  test("resumed by 120 connections at once it is open on one of them, 3 times over", async () => {
    for (let round = 0; round < 3; round++) {
      const account = `twins-${round}`;
      const first = await present(cluster.urls[0]!, await cluster.issue(account)); // there are six
      const sessionId = first.login?.sessionId ?? "";

      const attempts = await Promise.all(
        Array.from({ length: 120 }, (_, index) =>
          resume(cluster.urls[index % 6]!, sessionId).catch(() => null),
        ),
      );
      let open = 121;
      for (const attempt of [first, ...attempts]) {
        if (attempt?.login == null) open--;
        else void attempt.wire.closed.then(() => open--);
      }

      await until("all but one to be told", () => open === 1);
      await Bun.sleep(100);
      expect(open).toBe(1);
      expect(await onlineOf(cluster, [{ account, limit: 1 }])).toBe(1);
      expect(await metric(cluster, "holdfast_logins_owned")).toBe(1);
      for (const attempt of attempts) attempt?.wire.reset();
      await leaveAll(cluster, null);
    }
  }, 60_000);
});

describe("random load", () => {
  test.each([
    { how: "while all is well", isAway: false, overlapMs: 1000 },
    { how: "while NATS stands still", isAway: true, overlapMs: 1.1 * renewIntervalMs + 1000 },
  ])(
    "every promise is kept $how",
    async ({ how, isAway, overlapMs }) => {
      const [seed, recorder] = [seedOf(how), createRecorder()];
      const crowd = { players: 60, accounts: 25, prefix: `load-${isAway}` };
      const descriptors = await metric(cluster, "process_open_fds");
      const subscriptions = await cluster.natsSubscriptions();
      const load = startLoad({ cluster, recorder, seed, ...crowd });
      await Bun.sleep(1000);
      if (isAway) cluster.nats.signal("SIGSTOP");
      await Bun.sleep(2500);
      if (isAway) cluster.nats.signal("SIGCONT");

      await load.settle();
      await Bun.sleep(overlapMs);

      expect(recorder.views.length).toBeGreaterThan(300);
      expect(await aftermathOf({ cluster, load, recorder, overlapMs })).toEqual({
        broken: [],
        told: [],
      });
      expect(await metric(cluster, "holdfast_logins_owned")).toBe(load.open.length);
      await leaveAll(cluster, load);
      // Each edge may hold its connections to Redis and NATS, new ones if need be, and no more.
      await until("the sockets to be gone", async () => {
        return (await metric(cluster, "process_open_fds")) <= descriptors + 3;
      });
      const subscribed = cluster.natsSubscriptions;
      await until("all subscriptions", async () => (await subscribed()) === subscriptions);
      expect(await keysLeft()).toEqual([":0 without expiry", ":0 seats"]);
    },
    60_000,
  );
});
