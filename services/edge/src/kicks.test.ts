/** Kicks that are lost, acknowledged in part, late or never, with a clock of the test. */
import { describe, expect, test } from "bun:test";
import type { ClusterEvent } from "@holdfast/cluster";
import { createTestNode } from "../test/support/test-node.ts";
import { createKicks, kickTickMs } from "./kicks.ts";

const by = { node: "me", connection: "9" };

describe("createKicks", () => {
  test("kick is told at once, and asks for an acknowledgement", () => {
    const rig = createRig();

    rig.tell("far", ["1"], ["2"]);

    expect(rig.sent).toEqual([["far", { ...rig.event(["1"], ["2"]), type: "connect", ack: true }]]);
    expect(rig.kicks.size).toBe(1);
  });

  test("kick that is acknowledged is not repeated", async () => {
    const rig = createRig();
    rig.tell("far", ["1"], ["2"]);

    rig.ack("far", ["2", "1"]);
    await rig.run(10);

    expect([rig.sent.length, rig.kicks.size]).toEqual([1, 0]);
  });

  test("what was not acknowledged is repeated each second", async () => {
    const rig = createRig();
    rig.tell("far", ["1", "2"], ["3"]);
    rig.ack("far", ["1"]);
    rig.ack("other", ["2"]); // of a node that was not asked
    await rig.run(3);

    const repeated = rig.sent.slice(1).map(([, event]) => event);
    expect(repeated).toEqual(
      Array.from({ length: 3 }, () => ({ ...rig.event(["2"], ["3"]), type: "connect", ack: true })),
    );
    expect(await rig.metric("holdfast_kicks_repeated_total")).toBe(3);
  });

  test("after its renewal was due it is repeated at each renewal, and given up with the lease", async () => {
    const rig = createRig();
    rig.tell("far", ["1"], []);

    await rig.run(6);
    expect(rig.sent).toHaveLength(7);
    await rig.run(38);
    expect(rig.sent).toHaveLength(7 + 7);
    expect(rig.kicks.size).toBe(1);
    await rig.run(1);

    expect(rig.kicks.size).toBe(0);
    expect(await rig.metric('holdfast_kicks_given_up_total{reason="lease"}')).toBe(1);
  });

  test("kicks for a node that is dead are given up", async () => {
    const rig = createRig();
    rig.tell("dead", ["1"], []);
    rig.tell("far", ["1"], []);

    rig.kicks.forget("dead");
    await rig.run(1);

    expect(rig.sent.map(([node]) => node)).toEqual(["dead", "far", "far"]);
    expect(await rig.metric('holdfast_kicks_given_up_total{reason="dead"}')).toBe(1);
  });

  test("kicks of a node that was fenced are given up", async () => {
    const rig = createRig();
    for (const node of ["a", "b"]) rig.tell(node, ["1"], []);

    rig.kicks.withdraw();
    await rig.run(2);

    expect(rig.sent.map(([node]) => node)).toEqual(["a", "b"]);
    expect(await rig.metric('holdfast_kicks_given_up_total{reason="fenced"}')).toBe(2);
  });

  test("while the bus is away nothing is repeated, and it goes on when it is back", async () => {
    const rig = createRig();
    rig.tell("far", ["1"], []);
    rig.setAway(true);
    await rig.run(5);
    expect(rig.sent).toHaveLength(1);

    rig.setAway(false);
    await rig.run(1);

    expect(rig.sent).toHaveLength(2);
  });

  test("login that is told of its losers again adds to its kick", async () => {
    const rig = createRig();
    rig.tell("far", ["1"], []);
    rig.tell("far", ["1", "2"], []);

    expect(rig.kicks.size).toBe(1);
    rig.ack("far", ["1", "2"]);

    expect(rig.kicks.size).toBe(0);
  });

  test("one kick above the bound is told once, counted, and left to renewal", async () => {
    const rig = createRig({ EDGE_KICKS_PENDING_MAX: 2 });
    for (const node of ["a", "b"]) rig.tell(node, ["1"], []);
    expect(await rig.metric('holdfast_kicks_given_up_total{reason="full"}')).toBe(0);

    rig.tell("c", ["1"], []);

    expect(rig.sent.map(([node]) => node)).toEqual(["a", "b", "c"]);
    expect(rig.kicks.size).toBe(2);
    expect(await rig.metric('holdfast_kicks_given_up_total{reason="full"}')).toBe(1);
  });
});

function createRig(settings = {}) {
  const made = createTestNode(settings);
  const sent: [string, ClusterEvent][] = [];
  let isAway = false;
  const bus = {
    ...made.node.bus,
    publish: (node: string, event: ClusterEvent) => sent.push([node, event]) > 0,
    isConnected: () => !isAway,
  };
  const kicks = createKicks(() => ({ ...made.node, bus }));
  const losers = (ids: readonly string[]) => {
    return ids.map((connection) => ({ connection, generation: Number(connection) + 100 }));
  };
  const event = (displaced: readonly string[], takenOver: readonly string[]) => ({
    ...{ account: "anna", by, displaced: losers(displaced), takenOver: losers(takenOver) },
    atMs: 7,
  });
  return {
    ...{ sent, kicks, event, metric: made.metric },
    tell: (node: string, displaced: readonly string[], takenOver: readonly string[]) =>
      kicks.tell(node, event(displaced, takenOver)),
    ack: (node: string, connections: readonly string[]) =>
      kicks.acked({ type: "acked", node, by: by.connection, connections }),
    async run(ticks: number) {
      for (let tick = 0; tick < ticks; tick++) {
        await made.clock.advance(kickTickMs);
        kicks.tick();
      }
    },
    setAway(now: boolean) {
      isAway = now;
    },
  };
}
