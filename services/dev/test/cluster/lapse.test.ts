/**
 * Nodes that die, and a Redis that stands still. Goal: the seats of a dead node are told as lapsed
 * once each, although nobody logs in again, and an outage lapses nobody who is connected. [I3]
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Notice } from "@holdfast/cluster";
import { connectNats, createNatsBus, type NatsLink } from "@holdfast/cluster/nats";
import { metric, onlineOf, until } from "../../prove/ground.ts";
import { present, renewed, startTestCluster, type TestCluster } from "../support.ts";

const leaseMs = 1800;
const renewIntervalMs = 300;
const slackMs = 500; // intervals differ by a tenth, and a busy machine is late
let cluster: TestCluster;
let link: NatsLink;
const lapsed: Notice[] = [];
beforeAll(async () => {
  cluster = await startTestCluster({
    EDGE_LEASE_MS: String(leaseMs),
    EDGE_FIRST_LEASE_MS: "900",
    EDGE_RENEW_INTERVAL_MS: String(renewIntervalMs),
  });
  const urls = cluster.nats.url;
  link = await connectNats({ urls, name: "test", startTimeoutMs: 5000, onFault: () => {} });
  const bus = createNatsBus({ connection: link, onFault: () => {} });
  await bus.listen("lapsed", (notice) => void lapsed.push(notice));
}, 60_000);
afterAll(async () => {
  await link.close();
  await cluster.stop();
});

/** The urls of an edge stand side by side. */
async function crowd(prefix: string, count: number, edges: readonly number[]) {
  const accounts = Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
  const wires = await Promise.all(
    accounts.map(async (account, index) => {
      const url = cluster.urls[2 * edges[index % edges.length]! + (index % 2)]!; // there are six
      return (await present(url, await cluster.issue(account))).wire;
    }),
  );
  return { accounts, wires };
}

function online(accounts: readonly string[]): Promise<number> {
  return onlineOf(
    cluster,
    accounts.map((account) => ({ account, limit: 1 })),
  );
}

function tellings(prefix: string): Notice[] {
  return lapsed.filter(({ account }) => account.startsWith(prefix));
}

describe("node that dies", () => {
  test.each([
    ["renewed", "after its seats were renewed", () => renewed(cluster)],
    ["new", "right after the logins", () => Bun.sleep(50)],
  ] as const)(
    "%s: %s each of its seats is told once, and none is online",
    async (kind, _, lived) => {
      const prefix = `mortal-${kind}`;
      const stays = await crowd(`stays-${kind}`, 20, [0, 2]);
      const dies = await crowd(prefix, 50, [1]);
      const before = await metric(cluster, "holdfast_seats_lapsed_total");
      await lived();

      cluster.edges[1]?.child.signal("SIGKILL");
      const diedMs = performance.now();
      await until("all lapses to be told", () => tellings(prefix).length >= 50);
      const tookMs = performance.now() - diedMs;
      const left = await online(dies.accounts);
      await Bun.sleep(2 * leaseMs); // time for a second telling, and for the walk over all accounts
      await cluster.edges[1]?.start();

      expect(
        tellings(prefix)
          .map(({ account }) => account)
          .toSorted(),
      ).toEqual(dies.accounts.toSorted());
      expect(tellings(prefix).every(({ seat }) => seat.node.startsWith("edge-2-"))).toBe(true);
      expect(left).toBe(0);
      expect(tookMs).toBeLessThan(leaseMs + 2 * renewIntervalMs + slackMs);
      expect([tellings("stays").length, await online(stays.accounts)]).toEqual([0, 20]);
      expect((await metric(cluster, "holdfast_seats_lapsed_total")) - before).toBe(50);
      expect(await cluster.askRedis("ZCARD hf:nodes")).toBe(":3\r\n"); // with the one started anew
      for (const wire of stays.wires) wire.reset();
    },
    30_000,
  );
});

describe("Redis that stands still for longer than the lease", () => {
  // How: one node dies after the outage; when that is told, the others judge again, and would have
  // judged each other.
  test("lapses nobody who is connected", async () => {
    const { accounts, wires } = await crowd("patient", 60, [0, 1]);
    await crowd("marker", 5, [2]);
    await renewed(cluster);

    cluster.redis.signal("SIGSTOP");
    await Bun.sleep(1.3 * leaseMs);
    cluster.redis.signal("SIGCONT");
    await until("all seats to be back", async () => {
      return (await online(accounts).catch(() => 0)) === 60;
    });
    cluster.edges[2]?.child.signal("SIGKILL");
    await until("the one death to be told", () => tellings("marker").length >= 5, 15_000);
    await cluster.edges[2]?.start();

    expect(tellings("patient")).toEqual([]);
    expect(await online(accounts)).toBe(60);
    for (const wire of wires) wire.reset();
  }, 30_000);
});

describe("node that stops in good order", () => {
  test("is taken out of the ledger at once", async () => {
    await cluster.edges[2]?.child.stop(false);

    expect(await cluster.askRedis("ZCARD hf:nodes")).toBe(":2\r\n");
    await cluster.edges[2]?.start();
  }, 30_000);
});
