import { describe, expect, test } from "bun:test";
import type { BusFault, ClusterEvent } from "./bus.ts";
import { busContract, connectEvent } from "./contract.ts";
import { createInbox } from "./inbox.ts";
import { createMemoryBus, createMemoryHub, type MemoryBus } from "./memory.ts";

busContract("createMemoryHub", async () => {
  const faults: BusFault[] = [];
  const hub = createMemoryHub({ onFault: (fault) => faults.push(fault) });
  const buses: MemoryBus[] = [];
  return {
    faults,
    async bus() {
      const bus = hub.bus();
      buses.push(bus);
      return bus;
    },
    async close() {
      await Promise.all(buses.map((bus) => bus.close()));
    },
  };
});

describe("createMemoryBus", () => {
  test("one bus serves several nodes", async () => {
    const bus = createMemoryBus();
    const [a, b] = [createInbox<ClusterEvent>(), createInbox<ClusterEvent>()];
    await bus.subscribe("a", a.deliver);
    await bus.subscribe("b", b.deliver);

    bus.publish("b", connectEvent);
    bus.publish("a", { type: "drain", inTurn: false });

    expect(await a.take(1)).toEqual([{ type: "drain", inTurn: false }]);
    expect(await b.take(1)).toEqual([connectEvent]);
  });

  test("dropped event is lost without a word", async () => {
    const bus = createMemoryBus({
      drop: (message) => "type" in message && message.type === "drain",
    });
    const inbox = createInbox<ClusterEvent>();
    await bus.subscribe("a", inbox.deliver);

    expect(bus.publish("a", { type: "drain", inTurn: true })).toBe(true);
    bus.publish("a", connectEvent);

    expect(await inbox.take(1)).toEqual([connectEvent]);
  });

  test("queue that is full refuses, and takes again once it has been delivered", async () => {
    const faults: BusFault[] = [];
    const bus = createMemoryBus({ queueMax: 2, onFault: (fault) => faults.push(fault) });
    const inbox = createInbox<ClusterEvent>();
    await bus.subscribe("a", inbox.deliver);

    expect(bus.publish("a", connectEvent)).toBe(true);
    expect(bus.publish("a", connectEvent)).toBe(true);
    expect(bus.publish("a", connectEvent)).toBe(false);
    await inbox.take(2);

    expect(bus.publish("a", connectEvent)).toBe(true);
    expect(faults).toEqual(["publish"]);
  });

  test("list changed after publishing arrives as it was published", async () => {
    const bus = createMemoryBus();
    const inbox = createInbox<ClusterEvent>();
    await bus.subscribe("a", inbox.deliver);
    const [one, other] = ["a.1.1", "a.1.2"].map((connection) => ({ connection, generation: 7 }));
    const losers = [one!]; // of two

    bus.publish("a", { type: "ended", losers, reason: "logout" });
    losers.push(other!);

    expect(await inbox.take(1)).toEqual([{ type: "ended", losers: [one!], reason: "logout" }]);
  });
});
