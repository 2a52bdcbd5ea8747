/** Drains of edge processes on real Redis and NATS: by signal, by an operator, one by one. */
import { afterEach, describe, expect, test } from "bun:test";
import { HttpUpgradeError, openWire } from "@holdfast/client/wire";
import { metric, until } from "../../prove/ground.ts";
import { present, startTestCluster, type TestCluster } from "../support.ts";

let cluster: TestCluster;
afterEach(() => cluster.stop());

const slowly = {
  EDGE_DRAIN_DELAY_MS: "1000",
  EDGE_DRAIN_WINDOW_MS: "1500",
  EDGE_DRAIN_GRACE_MS: "1000",
};

function edgeAt(index: number) {
  const edge = cluster.edges[index];
  if (edge === undefined) throw new Error(`There is no edge ${index}`);
  return { edge, ...edge.description };
}

async function readiness(admin: string): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`${admin}/readyz`);
  return { status: answer.status, body: await answer.json() };
}

describe("SIGTERM", () => {
  test("node is unready at once, serves through the delay, then refuses and drains", async () => {
    cluster = await startTestCluster(slowly);
    const { edge, tcp, ws, admin } = edgeAt(0);
    const early = await Promise.all(
      Array.from({ length: 20 }, async (_, index) =>
        present(index % 2 === 0 ? tcp : ws, await cluster.issue(`early-${index}`)),
      ),
    );

    edge.child.signal("SIGTERM");
    await until("the node to be unready", async () => (await readiness(admin)).status === 503);
    expect((await readiness(admin)).body).toEqual({ ready: false, reasons: ["draining"] });
    // Within the delay it still serves: the load balancer has not noticed yet.
    const late = await present(ws, await cluster.issue("late"));
    expect(late.login).not.toBeNull();

    // Afterwards TCP is refused and upgrades are told when to come back.
    let refusal: HttpUpgradeError | null = null;
    await until("upgrades to be refused", async () => {
      const refused = await openWire({ url: ws }).then(
        (wire) => wire.reset(),
        (error: unknown) => error,
      );
      if (refused instanceof HttpUpgradeError) refusal = refused;
      return refusal !== null;
    });
    expect(refusal).toMatchObject({ status: 503, headers: { "retry-after": "2" } });
    await expect(openWire({ url: tcp })).rejects.toThrow();

    const closes = await Promise.all([...early, late].map(({ wire }) => wire.waitClosed(10_000)));
    expect(new Set(closes.map(({ closePush }) => closePush?.code))).toEqual(new Set([2]));
    expect(await edge.child.exited).toBe(0);
    // Seats were given back, sessions stay.
    const identity = { account: "late", seatsMax: 1, policy: "displace", metadata: {} } as const;
    expect((await cluster.registry.issue(identity, 1000)).online).toBe(0);
  }, 60_000);

  test("a second signal ends the process at once", async () => {
    cluster = await startTestCluster({ ...slowly, EDGE_DRAIN_DELAY_MS: "20000" });
    const { edge, admin } = edgeAt(0);

    edge.child.signal("SIGTERM");
    await until("the node to be unready", async () => (await readiness(admin)).status === 503);
    const askedMs = performance.now();
    edge.child.signal("SIGTERM");

    expect(await edge.child.exited).toBe(143);
    expect(performance.now() - askedMs).toBeLessThan(2000);
  }, 60_000);
});

describe("POST /drain", () => {
  test("one node drains when it is asked alone", async () => {
    cluster = await startTestCluster({ ...slowly, EDGE_DRAIN_DELAY_MS: "200" });
    const { edge, admin } = edgeAt(1);

    const answer = await fetch(`${admin}/drain`, { method: "POST" });

    expect(answer.status).toBe(202);
    expect(await edge.child.exited).toBe(0);
    expect(edgeAt(0).edge.child.hasExited()).toBe(false);
    expect(edgeAt(2).edge.child.hasExited()).toBe(false);
  }, 60_000);

  test("all nodes drain one after the other", async () => {
    cluster = await startTestCluster({ ...slowly, EDGE_DRAIN_DELAY_MS: "500" });
    // Of each node: when it was first seen unready, and when its client was told to go.
    const begunMs = new Map<number, number>();
    const toldMs = new Map<number, number>();
    await Promise.all(
      cluster.edges.map(async ({ description }, index) => {
        const { wire } = await present(description.tcp, await cluster.issue(`client-${index}`));
        void wire.waitClosed(40_000).then(({ closePush }) => {
          if (closePush?.code === 2) toldMs.set(index, performance.now());
        });
      }),
    );

    const answer = await fetch(`${edgeAt(0).admin}/drain?nodes=all`, { method: "POST" });
    expect(answer.status).toBe(202);
    await until(
      "all clients to be told",
      async () => {
        await Promise.all(
          cluster.edges.map(async ({ description }, index) => {
            const state = await readiness(description.admin).catch(() => null);
            if (state?.status === 503 && !begunMs.has(index)) begunMs.set(index, performance.now());
          }),
        );
        return toldMs.size === 3;
      },
      30_000,
    );

    const order = [...begunMs.keys()].sort((a, b) => begunMs.get(a)! - begunMs.get(b)!);
    expect(order).toHaveLength(3);
    for (const [place, index] of order.slice(1).entries()) {
      expect(toldMs.get(order[place]!)!).toBeLessThan(begunMs.get(index)!);
    }
    expect(await Promise.all(cluster.edges.map(({ child }) => child.exited))).toEqual([0, 0, 0]);
  }, 60_000);

  test("all nodes drain together when it is forced", async () => {
    cluster = await startTestCluster({ ...slowly, EDGE_DRAIN_DELAY_MS: "1000" });
    await fetch(`${edgeAt(0).admin}/drain?nodes=all&force=true`, { method: "POST" });

    await until("all nodes to be draining", async () => {
      return (await metric(cluster, "holdfast_draining")) === 3;
    });
    expect(await Promise.all(cluster.edges.map(({ child }) => child.exited))).toEqual([0, 0, 0]);
  }, 60_000);
});
