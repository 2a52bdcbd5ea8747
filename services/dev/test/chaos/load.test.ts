/**
 * A seeded random load over three edge processes. Goal: what must always hold does, as the clients
 * see it, while all is well and while NATS stands still. The seed is printed: CHAOS_SEED replays it.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startLoad } from "../load.ts";
import { check, closeCodes, createRecorder } from "../recorder.ts";
import { metric, onlineOf, seedOf, startTestCluster, type TestCluster, until } from "../support.ts";

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

const total = (name: string, label = "") => metric(cluster, name, label);

describe("random load", () => {
  test.each([
    { how: "while all is well", signal: false, overlapMs: 1000 },
    { how: "while NATS stands still", signal: true, overlapMs: 1.1 * renewIntervalMs + 1000 },
  ])(
    "every promise is kept $how",
    async ({ how, signal, overlapMs }) => {
      const seed = seedOf(how);
      const recorder = createRecorder();
      const prefix = `load-${signal}`;
      const load = startLoad({ cluster, recorder, seed, players: 60, accounts: 25, prefix });
      await Bun.sleep(1000);
      if (signal) cluster.nats.signal("SIGSTOP");
      await Bun.sleep(4000);
      if (signal) cluster.nats.signal("SIGCONT");

      await load.settle();
      await Bun.sleep(overlapMs);
      const online = await onlineOf(cluster, load.open);

      const { broken, overlapsMs } = check(recorder.views, overlapMs);
      const [longest, codes] = [overlapsMs.at(-1) ?? 0, closeCodes(recorder.views)];
      process.stderr.write(`${JSON.stringify({ ...load.counts, codes, longest })}\n`);
      expect([...broken, ...load.surprises]).toEqual([]);
      expect(recorder.views.length).toBeGreaterThan(300);
      expect(online).toEqual({ ...online, told: online.open });
      expect(await total("holdfast_logins_owned")).toBe(load.open.length);
      // Nobody is told anything but that somebody newer came.
      expect(Object.keys(codes).filter((code) => /\d/.test(code))).toEqual(["6"]);
      await load.leave();
      await until(
        "all connections to end",
        async () => (await total("holdfast_connections")) === 0,
      );
      const opened = await total("holdfast_connections_opened_total");
      expect(await total("holdfast_closes_total")).toBe(opened); // [I5]
      expect(await total("holdfast_exceptions_total")).toBe(0);
    },
    60_000,
  );
});
